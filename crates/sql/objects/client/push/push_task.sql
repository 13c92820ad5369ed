-- Purpose: pushes one task.
-- Returns: the id of the task.
-- Raises: as async.push_tasks.
-- Locks: as async.push_tasks.
create or replace function async.push_task(
  _task async.task_push_t,
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default 'manual push') returns bigint
language plpgsql
as $function$
-- No search_path is set: see async.push_tasks. Not in SQL, whose functions are planned in each call.
declare
  v_task_id bigint;
begin
  select t.task_id into v_task_id from async.push_tasks(array[_task], _run_type, _source) t;
  return v_task_id;
end
$function$;
