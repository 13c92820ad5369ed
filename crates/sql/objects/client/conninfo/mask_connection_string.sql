-- Purpose: masks the secrets in a connection string of either form. pgasync-core has the same
--   function for the Rust side.
-- Returns: the unchanged string if it has no secret, else its settings as key=value pairs with each
--   secret replaced by ****. A string that cannot be parsed, or in which part of a secret may have
--   been parsed as another setting (an @ behind the user, an unknown key), becomes **** as a whole.
--   In doubt, more is masked than is secret. (SECURITY DEFINER, because views call it as their
--   reader, who may not execute async.parse_conninfo.)
-- Raises: nothing.
-- Locks: none.
create or replace function async.mask_connection_string(in_text text) returns text
language plpgsql immutable security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_secrets constant text[] := '{oauth_client_secret,password,scram_client_key,scram_server_key,sslpassword}';
  -- What libpq knows besides, up to version 18.
  c_shown constant text[] := '{
    application_name,authtype,channel_binding,client_encoding,connect_timeout,dbname,
    fallback_application_name,gssdelegation,gssencmode,gsslib,host,hostaddr,keepalives,
    keepalives_count,keepalives_idle,keepalives_interval,krbsrvname,load_balance_hosts,
    max_protocol_version,min_protocol_version,oauth_client_id,oauth_issuer,oauth_scope,options,
    passfile,port,replication,require_auth,requirepeer,requiressl,service,servicefile,
    ssl_max_protocol_version,ssl_min_protocol_version,sslcert,sslcertmode,sslcompression,sslcrl,
    sslcrldir,sslkey,sslkeylogfile,sslmode,sslnegotiation,sslrootcert,sslsni,target_session_attrs,
    tcp_user_timeout,tty,user}';
  v_settings jsonb;
begin
  begin
    v_settings := async.parse_conninfo(in_text);
  exception when sqlstate 'PA001' then
    return '****';
  end;
  if exists (
      select from jsonb_each_text(v_settings) s
      where s.key <> all (c_secrets || c_shown) or s.value ~ '://[^/]*@')
    or in_text ~ '^postgres(ql)?://'
      and position('@' in regexp_replace(in_text, '^postgres(ql)?://([^:@/]*(:[^@/]*)?@)?', '')) > 0
  then
    return '****';
  end if;
  if not v_settings ?| c_secrets then
    return in_text;
  end if;
  return (
    select string_agg(format('%s=%s', s.key,
      case
        when s.key = any (c_secrets) and s.value <> '' then '****'
        when s.value ~ '^[A-Za-z0-9_./:,%+*@-]+$' then s.value
        else '''' || regexp_replace(s.value, E'([''\\\\])', E'\\\\\\1', 'g') || ''''
      end), ' ' order by s.key collate "C")
    from jsonb_each_text(v_settings) s);
end
$function$;
