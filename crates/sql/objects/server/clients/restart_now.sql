-- Purpose: async.restart_task on a server.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA082 for a task at a target outside of
--   the scope of the caller; the errors of user triggers.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.restart_now(in_caller name, in_scope async.scope_t, in_task_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.prepare_restart(in_caller, in_scope, in_task_id);
  perform from async.write_now(array[
    row(in_task_id, null, 'RESTART', clock_timestamp(), null, null, null, null, null, null)::async.event_t]);
  perform async.restrict_restarted(in_task_id, in_scope.reaches_self);
  perform async.wake_leader();
end
$function$;
