-- Purpose: pushes one task.
-- Returns: the id of the task.
-- Raises: as async.push_tasks.
-- Locks: as async.push_tasks.
create or replace function async.push_task(
  _task async.task_push_t,
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default 'manual push') returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select t.task_id from async.push_tasks(array[_task], _run_type, _source) t
$function$;
