-- Purpose: take tasks that clients run themselves (pushed without a query): what the leader offers
--   for a target.
-- Returns: up to _limit tasks by priority, now RUNNING until finished or timed out; none when none
--   was offered within _timeout (at most a minute: a waiting call holds a snapshot). Above READ
--   COMMITTED it looks once.
-- Raises: PA040 a target that clients cannot pull from, PA041 a limit below 1, PA082 a target that
--   the caller was not granted.
-- Locks: the rows it takes, until the end of the transaction; others skip them. Never hands one to
--   two.
--
-- Runs as the caller, whose role async.caller proves to pull_as. Nothing in here may depend on the
-- caller's path.
create or replace function async.get_tasks(
  _target text,
  _limit int default 1,
  _timeout interval default '30 seconds',
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security invoker
as $function$
#variable_conflict use_column
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.pull_as(c.caller, c.ticket, _target, _limit, _timeout, null) p;
end
$function$;
