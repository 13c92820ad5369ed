-- Purpose: send a finished task back to the queue with a clean slate, at once: no leader holds it.
--   The run number stays, so that a late result of an earlier run changes nothing.
-- Returns: nothing.
-- Raises: PA030 to PA033: unknown, unfinished, its session not known to be gone, nothing to run;
--   PA082 when the caller was not granted the task's target.
-- Locks: the task's row, until the end of the transaction.
--
-- Runs as the caller, whose role async.caller proves to restart_as. Nothing in here may depend on
-- the caller's path.
create or replace function async.restart_task(_task_id bigint) returns void
language plpgsql security invoker
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, _task_id, null) from async.caller c;
end
$function$;
