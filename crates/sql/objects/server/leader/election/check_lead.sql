-- Purpose: checks whether this session may still lead. Takes the locks again if a routine released
--   them (pg_advisory_unlock_all()), unless another orchestrator holds them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the advisory locks of the leader, if they were lost.
create or replace function async.check_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.leader_pid() is distinct from pg_backend_pid() and not async.take_locks() then
    perform async.lose_lead();
  end if;
end
$function$;
