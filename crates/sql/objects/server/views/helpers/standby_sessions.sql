-- Purpose: counts the sessions of pgasync run in this database that do not lead: standbys, which take
--   over when the leader is lost.
-- Returns: their number.
-- Raises: nothing.
-- Locks: none.
create or replace function async.standby_sessions()
returns int
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
  select count(*)::int
  from pg_stat_activity a
  where a.datname = current_database() and a.application_name = 'pgasync run'
    and a.pid is distinct from async.leader_pid()
    and pg_has_role(a.usesysid, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage')
$function$;
