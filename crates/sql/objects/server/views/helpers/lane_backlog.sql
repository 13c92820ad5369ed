-- Purpose: the READY tasks of a lane (a pool and a target): their number, counted up to a limit;
--   the first one; and when the oldest was pushed, among the 100 most urgent priorities of the
--   lane. The cost does not grow with the backlog.
-- Returns: one row.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lane_backlog(
  in_pool text, in_target text, in_pullable bool,
  out waiting bigint, out more bool, out first_task_id bigint, out oldest timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
declare
  c_counted_max constant int := 10000;
  c_priorities_max constant int := 100;
  v_priority int;
  v_entered timestamptz;
  v_task_id bigint;
begin
  if in_pullable then
    select count(*) into waiting from (
      select from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_offer(t)
      limit c_counted_max + 1
    ) c;
  else
    select count(*) into waiting from (
      select from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_launch(t)
      limit c_counted_max + 1
    ) c;
  end if;
  more := waiting > c_counted_max;
  waiting := least(waiting, c_counted_max);

  -- The oldest task of each priority is the first in the index.
  for v_at in 1..c_priorities_max loop
    if in_pullable then
      select t.priority, t.entered, t.task_id into v_priority, v_entered, v_task_id
      from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_offer(t)
        and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
      order by t.priority, t.entered, t.task_id
      limit 1;
    else
      select t.priority, t.entered, t.task_id into v_priority, v_entered, v_task_id
      from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_launch(t)
        and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
      order by t.priority, t.entered, t.task_id
      limit 1;
    end if;
    exit when not found;
    first_task_id := coalesce(first_task_id, v_task_id);
    oldest := least(oldest, v_entered);
  end loop;
end
$function$;
