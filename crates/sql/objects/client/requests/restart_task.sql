-- Purpose: resets a finished task to READY and clears its results, at once: the leader does not
--   hold a finished task. The run number stays, so that a late result of an earlier run changes
--   nothing. It runs as the caller, whose role async.caller proves to async.restart_as.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired,
--   PA035 while another task has its unique key, PA082 for a task at a target that the caller was not
--   granted.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.restart_task(_task_id bigint) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, array[_task_id], null) from async.caller c;
end
$function$;
