-- Purpose: resets a finished task to READY and clears its results, at once: the leader does not
--   hold a finished task. The run number stays, so that a late result of an earlier run changes
--   nothing.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.restart_task(_task_id bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    perform async.forward(format('select async.restart_task(%L)::text', _task_id));
    return;
  end if;
  perform async.restart_now(_task_id);
end
$function$;
