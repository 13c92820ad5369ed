-- Purpose: the waiting tasks of each lane: their number, and the seconds since the push of the oldest,
--   among the 20 most urgent priorities of the lane. At most 200,000 tasks are counted: the lanes share
--   them, and each lane counts 100 to 10,000 of its tasks. The cost does not grow with the backlog.
-- Returns: one row for each lane and kind (pullable: tasks without a query, for clients).
-- Raises: nothing.
-- Locks: none.
create or replace function async.backlog()
returns table (pool text, target text, pullable bool, waiting bigint, oldest_seconds float8)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
#variable_conflict use_variable
declare
  c_counted_max constant int := 200000;
  c_lane_min constant int := 100;
  c_lane_max constant int := 10000;
  c_priorities_max constant int := 20;
  v_lane record;
  v_limit int;
  v_priority int;
  v_entered timestamptz;
  v_oldest timestamptz;
begin
  for v_lane in
    select d.pool, d.target, d.pullable, count(*) over () as lanes from async.discover_lanes() d
  loop
    pool := v_lane.pool;
    target := v_lane.target;
    pullable := v_lane.pullable;
    v_limit := greatest(c_lane_min, least(c_lane_max, c_counted_max / v_lane.lanes));
    if pullable then
      select count(*) into waiting from (
        select from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_offer(t)
        limit v_limit
      ) c;
    else
      select count(*) into waiting from (
        select from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_launch(t)
        limit v_limit
      ) c;
    end if;
    -- The oldest task of each priority is the first in the index.
    v_priority := null;
    v_oldest := null;
    for v_at in 1..c_priorities_max loop
      if pullable then
        select t.priority, t.entered into v_priority, v_entered
        from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_offer(t)
          and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
        order by t.priority, t.entered, t.task_id
        limit 1;
      else
        select t.priority, t.entered into v_priority, v_entered
        from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_launch(t)
          and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
        order by t.priority, t.entered, t.task_id
        limit 1;
      end if;
      exit when not found;
      v_oldest := least(v_oldest, v_entered);
    end loop;
    -- The tasks may have been claimed meanwhile.
    continue when waiting = 0;
    oldest_seconds := greatest(0, extract(epoch from clock_timestamp() - coalesce(v_oldest, clock_timestamp())));
    return next;
  end loop;
end
$function$;
