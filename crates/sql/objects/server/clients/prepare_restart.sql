-- Purpose: locks a finished task that is to be restarted, and deletes its requests.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired, PA082
--   for a task at a target outside of the scope of the caller.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.prepare_restart(in_caller name, in_scope async.scope_t, in_task_id bigint)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_task async.task;
begin
  select t.* into v_task from async.task t where t.task_id = in_task_id for no key update;
  if v_task.task_id is null then
    raise exception 'there is no task %', coalesce(in_task_id::text, 'null')
      using errcode = 'PA030', hint = 'Tasks are deleted task_keep_duration after they finished.';
  elsif v_task.processed is null then
    raise exception 'task % has not finished', in_task_id
      using errcode = 'PA031', hint = 'Cancel it first, or wait for its end.';
  elsif v_task.tracked then
    raise exception 'task % has finished, but its session at % is not known to be gone yet', in_task_id,
        quote_literal(v_task.target)
      using errcode = 'PA032', hint = 'It could run twice at a time. Try again when the target can be reached.';
  elsif v_task.query is null and not coalesce(v_task.asynchronous_finish, false) then
    raise exception 'task % has no query to run', in_task_id
      using errcode = 'PA033', hint = 'It was pushed as EMPTY or DOA. Push another task instead.';
  elsif v_task.expires_at <= clock_timestamp() then
    raise exception 'task % has expired at %', in_task_id, v_task.expires_at
      using errcode = 'PA034', hint = 'Its expires_at counts for all of its runs. Push another task instead.';
  end if;
  perform async.check_target(format('task %s: ', in_task_id), in_caller, in_scope, v_task.target);
  delete from async.request r where r.task_id = in_task_id;
end
$function$;
