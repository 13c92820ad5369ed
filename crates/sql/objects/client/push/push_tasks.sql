-- Purpose: queue tasks, in the caller's transaction, and wake the leader if it sleeps. On a client
--   the server does it, and commits on its own.
-- Returns: one row a task, in the order of the array; ids grow in that order too.
-- Raises: PA010 to PA016 for an element that cannot be run, PA082 for a target that the caller was
--   not granted; nothing is pushed then.
-- Locks: as push_as.
--
-- Runs as the caller, whose role async.caller proves to push_as. Nothing in here may depend on the
-- caller's path.
create or replace function async.push_tasks(
  _tasks async.task_push_t[],
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default null) returns setof async.task
language plpgsql security invoker
as $function$
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, _tasks, _run_type, _source, null) p;
end
$function$;
