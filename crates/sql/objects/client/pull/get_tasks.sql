-- Purpose: take tasks that clients run themselves (pushed without a query): what the leader offers
--   for a target.
-- Returns: up to _limit tasks by priority, now RUNNING until finished or timed out; none when none
--   was offered within _timeout (at most a minute: a waiting call holds a snapshot). Above READ
--   COMMITTED it looks once.
-- Raises: PA040 a target that clients cannot pull from, PA041 a limit below 1.
-- Locks: the rows it takes, until the end of the transaction; others skip them. Never hands one to
--   two.
create or replace function async.get_tasks(
  _target text,
  _limit int default 1,
  _timeout interval default '30 seconds',
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  if async.client_only() then
    return query
      select f.task_id, f.priority, f.times_up, f.task_data
      from async.forward_get_tasks(_target, _limit, _timeout) f;
    return;
  end if;
  return query
    select t.out_task_id, t.out_priority, t.out_times_up, t.out_task_data
    from async.pull_tasks(_target, _limit, _timeout) t;
end
$function$;
