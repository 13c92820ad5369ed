-- Purpose: the query that returns the identity of a session and of its server. Values that the role
--   may not read are null. Restricted functions are in a text that runs only if the role may call
--   them.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.identity_query()
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select $query$
select pg_catalog.json_build_array(
  s.pid, pg_catalog.current_setting('server_version_num'),
  pg_catalog.to_char(pg_catalog.timezone('utc', s.backend_start), 'YYYY-MM-DD HH24:MI:SS.US+00'), session_user,
  pg_catalog.to_char(pg_catalog.timezone('utc', pg_catalog.pg_postmaster_start_time()), 'YYYY-MM-DD HH24:MI:SS.US+00'),
  pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port(),
  case when pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
    then pg_catalog.substring(pg_catalog.query_to_xml(
      'select system_identifier as v from pg_catalog.pg_control_system()', false, false, '')::pg_catalog.text, '<v>([0-9]+)</v>')
  end,
  case when not pg_catalog.pg_is_in_recovery()
      and pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'execute')
      and pg_catalog.has_function_privilege('pg_catalog.pg_walfile_name(pg_catalog.pg_lsn)', 'execute')
    then pg_catalog.substring(pg_catalog.query_to_xml(
      'select pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) as v',
      false, false, '')::pg_catalog.text, '<v>([0-9A-F]+)</v>')
  end,
  not pg_catalog.pg_is_in_recovery() and not pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool,
  (select pg_catalog.quote_ident(n.nspname)
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'dblink'))
from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) s
  $query$
$function$;
