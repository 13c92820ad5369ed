-- Purpose: a sentence that names the leader, or the advisory lock that another session holds.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_leader()
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(
    format('another orchestrator leads: pid %s', async.leader_pid()),
    format('advisory lock %s is held by another session: choose another advisory_mutex_id', c.advisory_mutex_id))
  from async.control c
$function$;
