-- Purpose: whether this session may still lead: stops it when the schema was replaced by another
--   version, and takes the locks again that a routine may have given up (pg_advisory_unlock_all()),
--   unless another orchestrator has them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the leader's advisory locks, where they were lost.
create or replace function async.check_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_state l
  set stop = 'PA213: the schema async was replaced by another version; start the orchestrator anew'
  where l.stop is null and l.fingerprint <> async.schema_fingerprint();
  if async.leader_pid() is distinct from pg_backend_pid() and not async.take_locks() then
    perform async.lose_lead();
  end if;
end
$function$;
