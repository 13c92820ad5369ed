-- Purpose: the leader session of this database in pg_stat_activity. host is the host of its client,
--   'local' over a Unix socket. quiet is the time since its last commit.
-- Returns: one row; no row while no orchestrator leads.
-- Raises: nothing.
-- Locks: none.
create or replace function async.leader_session(
  out pid int, out host text, out application text, out quiet interval
) returns setof record
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
  select
    a.pid,
    case when a.client_port = -1 then 'local' else coalesce(a.client_hostname, host(a.client_addr)) end,
    a.application_name,
    clock_timestamp() - coalesce(a.xact_start, a.state_change)
  from pg_stat_activity a
  where a.pid = async.leader_pid()
$function$;
