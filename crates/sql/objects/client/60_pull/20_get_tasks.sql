-- Purpose: take tasks that clients run themselves (pushed without a query): what the leader offers for a target.
-- Returns: up to _limit tasks by priority, now RUNNING until finished or timed out; none when none was offered
--          within _timeout (at most a minute: a waiting call holds a snapshot). Above READ COMMITTED it looks once.
-- Raises:  PA040 a target that clients cannot pull from, PA041 a limit below 1.
-- Locks:   the rows it takes, until the end of the transaction; others skip them. Never hands one to two.
--
-- No search_path is set: users' triggers on async.task would inherit it. So nothing in here may depend on the
-- caller's: see push_tasks.
create or replace function async.get_tasks(
  _target text,
  _limit int default 1,
  _timeout interval default '30 seconds',
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security definer
as $function$
#variable_conflict use_column
declare
  v_task_ids pg_catalog.int8[];
  v_times_up pg_catalog.timestamptz[];
begin
  if async.client_only() then
    return query
      select f.task_id, f.priority, f.times_up, f.task_data
      from async.forward_get_tasks(_target, _limit, _timeout) f;
    return;
  end if;
  select pg_catalog.array_agg(o.out_task_id), pg_catalog.array_agg(o.out_times_up)
  into v_task_ids, v_times_up
  from async.take_offers(_target, _limit, _timeout) o;
  return query
    with taken as (
      update async.task t set
        consumed = pg_catalog.clock_timestamp(),
        run = t.run operator(pg_catalog.+) 1,
        tracked = true,
        eligible_when = null,
        times_up = o.times_up
      from rows from (pg_catalog.unnest(v_task_ids), pg_catalog.unnest(v_times_up)) as o(task_id, times_up)
      where t.task_id operator(pg_catalog.=) o.task_id
      returning t.task_id, t.priority, t.times_up, t.task_data, t.entered
    )
    select taken.task_id, taken.priority, taken.times_up, taken.task_data
    from taken
    order by taken.priority, taken.entered, taken.task_id;
end
$function$;
