-- Purpose: async.restart_task on a server.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired, PA035
--   while another task has its unique key, PA082 for a task at a target outside of the scope of the
--   caller; the errors of user triggers.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.restart_now(in_caller name, in_scope async.scope_t, in_task_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_constraint text;
begin
  perform async.prepare_restart(in_caller, in_scope, in_task_id);
  begin
    perform from async.write_now(array[
      row(in_task_id, null, 'RESTART', clock_timestamp(), null, null, null, null, null, null)::async.event_t]);
  exception when unique_violation then
    get stacked diagnostics v_constraint = constraint_name;
    if v_constraint <> 'task_unique_key' then
      raise;
    end if;
    raise exception 'task % cannot be restarted: another task has its unique key', in_task_id
      using errcode = 'PA035', hint = 'Wait for the end of that task, or cancel it.';
  end;
  perform async.restrict_restarted(in_task_id, in_scope.reaches_self);
  perform async.wake_leader();
end
$function$;
