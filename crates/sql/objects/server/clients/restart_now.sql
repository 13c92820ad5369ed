-- Purpose: async.restart_task on a server.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run; the errors of user triggers.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.restart_now(in_task_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.prepare_restart(in_task_id);
  perform from async.write_now(array[
    row(in_task_id, null, 'RESTART', clock_timestamp(), null, null, null, null, null, null)::async.event_t]);
  perform async.wake_leader();
end
$function$;
