-- Purpose: masks the secrets in a message, for example of libpq, that may contain connection strings
--   or parts of them. For a text that is a connection string: async.mask_connection_string.
-- Returns: the text with each part that looks like a secret replaced by ****. In doubt, more is
--   masked than is secret.
-- Raises: nothing. Locks: none.
create or replace function async.mask_text(in_text text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select regexp_replace(regexp_replace(regexp_replace(in_text,
    -- user:password@ in a URI, up to the last @
    E'(postgres(?:ql)?://[^\\s:@/]*):.*@', E'\\1:****@', 'gi'),
    -- parameters of a URI, the name in any encoding
    E'([?&](?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key|[^=&\\s]*%[^=&\\s]*)=)[^&]*',
    E'\\1****', 'gi'),
    -- key = value, key = 'quoted \' value'
    E'((?:^|[^?&\\w])(?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key)\\s*=\\s*)'
    || E'(?:''(?:[^''\\\\]|\\\\.)*(?:''|\\\\?$)|(?:[^\\s\\\\]|\\\\.)*)',
    E'\\1****', 'gi')
$function$;
