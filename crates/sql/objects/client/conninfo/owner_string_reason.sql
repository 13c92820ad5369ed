-- Purpose: why only the owner of the schema may write a connection string: it makes the engine read
--   or write something that belongs to the account that the engine runs under (a secret, a file, or
--   a socket, which may identify this account). The role that chooses the host could otherwise send
--   it anywhere.
-- Returns: text; null if an administrator may write the string.
-- Raises: PA001 when the string cannot be parsed.
-- Locks: none.
create or replace function async.owner_string_reason(in_connection_string text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_files constant text[] := '{passfile,service,servicefile,sslcert,sslkey,sslkeylogfile}';
  v_settings constant jsonb := async.parse_conninfo(in_connection_string);
  v_hosts constant text[] := string_to_array(v_settings ->> 'host', ',');
  v_addresses constant text[] := string_to_array(v_settings ->> 'hostaddr', ',');
  v_key text;
begin
  -- The second test has no pattern, so it does not depend on how a pattern is read.
  if async.references_secret(in_connection_string)
    or position('${ENV:' in v_settings ->> 'password') > 0 or position('${FILE:' in v_settings ->> 'password') > 0
  then
    return 'its password is a reference to a secret';
  end if;
  select s.key into v_key
  from jsonb_each_text(v_settings) s
  where s.key = any (c_files) and s.value <> ''
  order by s.key collate "C"
  limit 1;
  if v_key is not null then
    return format('it has %s', v_key);
  end if;
  -- Without a host and an address, libpq takes the socket of the machine.
  if exists (
    select
    from generate_series(1, greatest(cardinality(v_hosts), cardinality(v_addresses), 1)) n
    where coalesce(v_addresses[n], '') = '' and coalesce(v_hosts[n], '') ~ '^([/@]|$)'
  ) then
    return 'it leads to a socket of the machine: it has no host, or a folder as its host';
  end if;
  return null;
end
$function$;
