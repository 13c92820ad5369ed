-- Purpose: checks a connection string before it is stored.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be parsed, when its password is the mask that views show, for a
--   key that no version of libpq knows, and for a reference to a secret that is malformed or not the
--   password.
-- Locks: none.
create or replace function async.check_connection_string(in_connection_string text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- Those that some version of libpq from 11 to 18 knows.
  c_keys constant text[] := '{
    application_name,authtype,channel_binding,client_encoding,connect_timeout,dbname,
    fallback_application_name,gssdelegation,gssencmode,gsslib,host,hostaddr,keepalives,
    keepalives_count,keepalives_idle,keepalives_interval,krbsrvname,load_balance_hosts,
    max_protocol_version,min_protocol_version,oauth_client_id,oauth_client_secret,oauth_issuer,
    oauth_scope,options,passfile,password,port,replication,require_auth,requirepeer,requiressl,
    scram_client_key,scram_server_key,service,servicefile,ssl_max_protocol_version,
    ssl_min_protocol_version,sslcert,sslcertmode,sslcompression,sslcrl,sslcrldir,sslkey,
    sslkeylogfile,sslmode,sslnegotiation,sslpassword,sslrootcert,sslsni,target_session_attrs,
    tcp_user_timeout,tty,user}';
  v_settings constant jsonb := async.parse_conninfo(in_connection_string);
begin
  if v_settings ->> 'password' = '****' then
    raise exception 'the password of a connection string is the mask that stands for one'
      using errcode = 'PA001', hint = 'Give the password itself.';
  end if;
  if exists (select from jsonb_object_keys(v_settings) as k(key) where k.key <> all (c_keys)) then
    -- The rest of an unquoted password may look like a key, so it is named only where there is none.
    raise exception 'a connection string has a key that libpq does not know%', coalesce((
        select ': ' || string_agg(left(k.key, 63), ', ' order by k.key)
        from jsonb_object_keys(v_settings) as k(key)
        where k.key <> all (c_keys) and not v_settings ? 'password'
        having count(*) > 0), '')
      using errcode = 'PA001', hint = 'docs/connecting.md lists the keys. Put a password with spaces in single quotes.';
  end if;
  if not async.references_secret(in_connection_string)
      and exists (select from jsonb_each_text(v_settings) s where s.value ~ E'\\$\\{(ENV|FILE):')
    or exists (select from jsonb_each_text(v_settings) s where s.key <> 'password' and s.value ~ E'\\$\\{(ENV|FILE):')
  then
    raise exception 'a connection string has a reference that is no password of the form '
        '${ENV:PGASYNC_SECRET_NAME} or ${FILE:name}'
      using errcode = 'PA001', hint = 'A file name has letters, digits, _, - and ., and does not begin with a dot.';
  end if;
end
$function$;
