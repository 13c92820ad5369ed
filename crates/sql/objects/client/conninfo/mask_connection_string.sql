-- Purpose: masks the secrets in a connection string of either form, also in a malformed one and
--   inside other text.
-- Returns: the text with each secret replaced by ****. In doubt, more is masked than is secret.
-- Raises: nothing. Locks: none.
create or replace function async.mask_connection_string(in_text text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select regexp_replace(regexp_replace(regexp_replace(in_text,
    -- user:password@ in a URI, up to its last @
    '(postgres(?:ql)?://[^\s:@/]*):\S*@', '\1:****@', 'gi'),
    -- parameters of a URI
    '([?&](?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key)=)[^&\s]*', '\1****', 'gi'),
    -- key = value, key = 'quoted \' value'
    '((?:^|[^?&\w])(?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key)\s*=\s*)'
    '(?:''(?:[^''\\]|\\.)*(?:''|\\?$)|(?:[^\s\\]|\\.)*)',
    '\1****', 'gi')
$function$;
