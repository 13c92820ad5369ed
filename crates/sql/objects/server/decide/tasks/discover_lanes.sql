-- Purpose: the lanes (pool and target) with READY tasks, found by skipping through the index of the
--   queue. The cost grows with the number of lanes, and not with the number of tasks.
-- Returns: one row for each lane and kind (pullable: tasks without a query, for clients).
-- Raises: nothing.
-- Locks: none.
create or replace function async.discover_lanes()
returns table (pool text, target text, pullable bool)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  return query
  with recursive lane as (
    (select coalesce(t.concurrency_pool, t.target) as pool, t.target
     from async.task t
     where async.waits_for_launch(t)
     order by coalesce(t.concurrency_pool, t.target), t.target
     limit 1)
    union all
    select n.pool, n.target
    from lane l
    cross join lateral (
      select coalesce(t.concurrency_pool, t.target) as pool, t.target
      from async.task t
      where async.waits_for_launch(t)
        and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
      order by coalesce(t.concurrency_pool, t.target), t.target
      limit 1
    ) n
  )
  select l.pool, l.target, false from lane l;

  return query
  with recursive lane as (
    (select coalesce(t.concurrency_pool, t.target) as pool, t.target
     from async.task t
     where async.waits_for_offer(t)
     order by coalesce(t.concurrency_pool, t.target), t.target
     limit 1)
    union all
    select n.pool, n.target
    from lane l
    cross join lateral (
      select coalesce(t.concurrency_pool, t.target) as pool, t.target
      from async.task t
      where async.waits_for_offer(t)
        and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
      order by coalesce(t.concurrency_pool, t.target), t.target
      limit 1
    ) n
  )
  select l.pool, l.target, true from lane l;
end
$function$;
