-- Purpose: parses a connection string of the form
--   postgresql://user:password@host:port,host2/dbname?key=value, as libpq does. Several hosts
--   become comma-separated lists under host and port.
-- Returns: an object of texts.
-- Raises: PA001 when libpq would refuse the form of the string. The error does not contain the
--   string, which may hold a password.
-- Locks: none.
create or replace function async.parse_conninfo_uri(in_conninfo text) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_result jsonb := '{}';
  v_uri text[];
  v_host text[];
  v_entry text;
  v_hosts text;
  v_ports text;
  v_pair text[];
begin
  -- 1 user, 2 :password, 3 hosts, 4 dbname, 5 parameters
  v_uri := regexp_match(in_conninfo,
    E'^postgres(?:ql)?://(?:([^:@/]*)(:[^@/]*)?@)?([^/?]*)(?:/([^?]*))?(?:\\?(.*))?$');
  if v_uri is null then
    raise exception 'a connection URI cannot be read'
      using errcode = 'PA001', hint = 'Write postgresql://user:password@host:port/dbname?key=value.';
  end if;
  v_result := jsonb_strip_nulls(jsonb_build_object(
    'user', async.decode_percent(nullif(v_uri[1], '')),
    'password', async.decode_percent(substr(v_uri[2], 2)),
    'dbname', async.decode_percent(nullif(v_uri[4], ''))));

  foreach v_entry in array string_to_array(v_uri[3], ',') loop
    v_host := regexp_match(v_entry, E'^(\\[[^\\]]+\\]|[^:\\[\\]]*)(?::([0-9]*))?$');
    if v_host is null then
      raise exception 'a host in a connection URI cannot be read'
        using errcode = 'PA001', hint = 'Write host or host:port, and an IPv6 address in brackets.';
    end if;
    v_hosts := concat(v_hosts || ',', async.decode_percent(btrim(v_host[1], '[]')));
    v_ports := concat(v_ports || ',', v_host[2]);
  end loop;
  if v_hosts <> '' then
    v_result := v_result || jsonb_build_object('host', v_hosts);
  end if;
  if replace(v_ports, ',', '') <> '' then
    v_result := v_result || jsonb_build_object('port', v_ports);
  end if;

  for v_entry in select p.entry from regexp_split_to_table(v_uri[5], '&') as p(entry) where v_uri[5] <> '' loop
    v_pair := regexp_match(v_entry, '^([^=]+)=([^=]*)$');
    if v_pair is null then
      raise exception 'a parameter in a connection URI cannot be read'
        using errcode = 'PA001', hint = 'Write ?key=value&key=value, special characters percent-encoded.';
    end if;
    v_result := v_result || case
      -- The spelling of JDBC, which libpq accepts too.
      when v_entry = 'ssl=true' then jsonb_build_object('sslmode', 'require')
      else jsonb_build_object(async.decode_percent(v_pair[1]), async.decode_percent(v_pair[2]))
    end;
  end loop;
  return v_result;
end
$function$;
