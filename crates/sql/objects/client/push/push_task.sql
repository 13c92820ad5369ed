-- Purpose: pushes one task.
-- Returns: the id of the task.
-- Raises: as async.push_tasks.
-- Locks: as async.push_tasks.
create or replace function async.push_task(
  _task async.task_push_t,
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default 'manual push') returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
-- Not in SQL, whose functions are planned in each call. As async.push_tasks, without its result.
begin
  return (
    select t.task_id
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, array[_task], _run_type, _source, null) t);
end
$function$;
