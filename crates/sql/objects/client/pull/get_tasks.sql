-- Purpose: takes tasks without a query that the leader offers at a target. The client runs them
--   itself. It runs as the caller, whose role async.caller proves to async.pull_as.
-- Returns: up to _limit tasks in the order of the queue. They are RUNNING until they are finished
--   or time out. No rows when no task is offered within _timeout, which is limited to one minute
--   because a waiting call holds a snapshot. Above READ COMMITTED the call does not wait.
-- Raises: PA040 for a target that clients cannot pull from, PA041 for a limit below 1, PA082 for a
--   target that the caller was not granted.
-- Locks: the rows that it takes, until the end of the transaction. It skips rows that other
--   transactions hold, so no task is returned to two callers.
create or replace function async.get_tasks(
  _target text,
  _limit int default 1,
  _timeout interval default '30 seconds',
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.pull_as(c.caller, c.ticket, _target, _limit, _timeout, null) p;
end
$function$;
