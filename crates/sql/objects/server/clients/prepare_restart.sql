-- Purpose: locks finished tasks that are to be restarted, and deletes their requests.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired, PA035
--   while another task has its unique key, PA082 for a task at a target outside of the scope of the
--   caller: with the first such task.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.prepare_restart(in_caller name, in_scope async.scope_t, in_task_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_task record;
begin
  -- In one order, so that two restarts do not wait for each other.
  perform from async.task t where t.task_id = any (in_task_ids) order by t.task_id for no key update;
  select i.id, t.task_id, t.processed, t.tracked, t.target, t.query, t.asynchronous_finish, t.expires_at,
    h.task_id as holder
  into v_task
  from unnest(in_task_ids) with ordinality as i(id, place)
  left join async.task t on t.task_id = i.id
  left join async.task h on h.target = t.target and h.unique_key = t.unique_key and h.processed is null
    and (h.unique_while = 'unfinished' or h.run = 0) and (t.unique_while = 'unfinished' or t.run = 0)
  where t.task_id is null or t.processed is null or t.tracked or h.task_id is not null
    or t.query is null and not coalesce(t.asynchronous_finish, false) or t.expires_at <= clock_timestamp()
  order by i.place
  limit 1;
  if not found then
    null;
  elsif v_task.task_id is null then
    raise exception 'there is no task %', coalesce(v_task.id::text, 'null')
      using errcode = 'PA030', hint = 'Tasks are deleted task_keep_duration after they finished.';
  elsif v_task.processed is null then
    raise exception 'task % has not finished', v_task.id
      using errcode = 'PA031', hint = 'Cancel it first, or wait for its end.';
  elsif v_task.tracked then
    raise exception 'task % has finished, but its session at % is not known to be gone yet', v_task.id,
        quote_literal(v_task.target)
      using errcode = 'PA032', hint = 'It could run twice at a time. Try again when the target can be reached.';
  elsif v_task.query is null and not coalesce(v_task.asynchronous_finish, false) then
    raise exception 'task % has no query to run', v_task.id
      using errcode = 'PA033', hint = 'It was pushed as EMPTY or DOA. Push another task instead.';
  elsif v_task.expires_at <= clock_timestamp() then
    raise exception 'task % has expired at %', v_task.id, v_task.expires_at
      using errcode = 'PA034', hint = 'Its expires_at counts for all of its runs. Push another task instead.';
  else
    raise exception 'task % cannot be restarted: task % has its unique key', v_task.id, v_task.holder
      using errcode = 'PA035', hint = 'Wait for the end of that task, or cancel it.';
  end if;
  perform async.check_target(format('task %s: ', u.id), in_caller, in_scope, u.target)
  from (
    select t.target, min(t.task_id) as id from async.task t where t.task_id = any (in_task_ids) group by t.target
  ) u
  order by u.id;
  delete from async.request r where r.task_id = any (in_task_ids);
end
$function$;
