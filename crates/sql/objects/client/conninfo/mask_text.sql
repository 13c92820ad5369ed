-- Purpose: a text for people, such as a message of libpq, in which connection strings may stand,
--   whole or in part. A text that is a connection string: async.mask_connection_string.
-- Returns: the text with what looks like a secret replaced by ****; rather too much is hidden than
--   too little.
-- Raises: nothing. Locks: none.
create or replace function async.mask_text(in_text text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select regexp_replace(regexp_replace(regexp_replace(in_text,
    -- user:password@ in a URI, up to the last @
    '(postgres(?:ql)?://[^\s:@/]*):.*@', '\1:****@', 'gi'),
    -- parameters of a URI, the name in any encoding
    '([?&](?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key|[^=&\s]*%[^=&\s]*)=)[^&]*',
    '\1****', 'gi'),
    -- key = value, key = 'quoted \' value'
    '((?:^|[^?&\w])(?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key)\s*=\s*)'
    '(?:''(?:[^''\\]|\\.)*(?:''|\\?$)|(?:[^\s\\]|\\.)*)',
    '\1****', 'gi')
$function$;
