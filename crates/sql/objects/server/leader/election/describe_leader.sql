-- Purpose: a sentence that names the leader, or what else keeps this session from leading.
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
    format('pid %s holds the advisory lock %s: choose another advisory_mutex_id', async.mutex_holder(),
      c.advisory_mutex_id),
    'another orchestrator is about to lead')
  from async.control c
$function$;
