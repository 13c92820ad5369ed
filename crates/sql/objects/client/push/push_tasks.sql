-- Purpose: pushes tasks in the transaction of the caller, and wakes the leader if it sleeps. On a
--   client database the server pushes the tasks and commits on its own. It runs as the caller, whose
--   role async.caller proves to async.push_as.
-- Returns: one row for each element, in the order of the array. The ids grow in the same order.
-- Raises: PA010 to PA01B for an element that cannot be accepted, PA01C for a source that is too
--   long, PA082 for a target that the caller was not granted. Then nothing is pushed.
-- Locks: as async.wake_leader. It does not wait.
create or replace function async.push_tasks(
  _tasks async.task_push_t[],
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default null) returns setof async.task
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, _tasks, _run_type, _source, null) p
    -- Always true, and not executed. It makes a session prepare the statement anew when the table
    -- gets a column. The result of a function alone does not.
    where true or exists (select from async.task);
end
$function$;
