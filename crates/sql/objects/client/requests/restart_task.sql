-- Purpose: send a finished task back to the queue with a clean slate, at once: no leader holds it.
--   The run number stays, so that a late result of an earlier run changes nothing.
-- Returns: nothing.
-- Raises: PA030 to PA033: unknown, unfinished, its session not known to be gone, nothing to run.
-- Locks: the task's row, until the end of the transaction.
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
