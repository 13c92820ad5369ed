-- Purpose: restart_task on a server.
-- Returns: nothing.
-- Raises: PA030 unknown, PA031 unfinished, PA032 its session is not known to be gone, PA033 it has
--   nothing to run, PA082 its target is outside of the caller's scope; what users' triggers raise.
-- Locks: the task's row, until the end of the transaction. (No SET clause: users' triggers would
--   inherit it. Nothing in here depends on the caller's path.)
create or replace function async.restart_now(in_caller name, in_scope async.scope_t, in_task_id bigint) returns void
language plpgsql
as $function$
begin
  perform async.prepare_restart(in_caller, in_scope, in_task_id);
  perform from async.write_now(array[
    row(in_task_id, null, 'RESTART', pg_catalog.clock_timestamp(), null, null, null, null, null, null)::async.event_t]);
  perform async.restrict_restarted(in_task_id, in_scope.reaches_self);
  perform async.wake_leader();
end
$function$;
