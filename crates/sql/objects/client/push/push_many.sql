-- Purpose: pushes tasks in the transaction of the caller: an array of objects whose keys are the
--   options of async.push, with query and target. On a client database the server pushes the tasks and
--   commits on its own. It runs as the caller, whose role async.caller proves to async.push_many_as.
-- Returns: one row for each element, in the order of the array: the id of the new task, or that of the
--   task that has the unique key already (duplicate). The id is null if a trigger kept the row out.
-- Raises: PA01D for a document, an option or a value that is invalid, PA01E for times and PA01F for a
--   unique key that cannot be, PA01G when the key is taken and on_conflict is error, PA01H when
--   another transaction holds a key for too long, and the errors of async.push_tasks. Each names the
--   element, counted from 1. Then nothing is pushed.
-- Locks: as async.wake_leader. A push of unique keys waits for the transactions that push the same
--   keys, up to lock_timeout, or for 10 seconds if that is 0.
create or replace function async.push_many(_tasks jsonb)
returns table (task_id bigint, duplicate bool)
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select p.task_id, p.duplicate
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, _tasks, null) p;
end
$function$;
