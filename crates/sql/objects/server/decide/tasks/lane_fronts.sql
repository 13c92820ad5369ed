-- Purpose: lanes with READY tasks and the position before the first task of each, in the order of the
--   index of the queue, behind a lane (two empty texts: from the first one). The cost grows with the
--   number of lanes, and not with the number of tasks.
-- Returns: up to in_max lanes of one kind (pullable: tasks without a query, for clients).
-- Raises: nothing.
-- Locks: none.
create or replace function async.lane_fronts(
  in_pullable bool, in_after_pool text, in_after_target text, in_max int
) returns setof async.lane_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  if in_pullable then
    return query
    with recursive lane as (
      (select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id, 1 as place
       from async.task t
       where async.waits_for_offer(t)
         and (coalesce(t.concurrency_pool, t.target), t.target) > (in_after_pool, in_after_target)
       order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
       limit 1)
      union all
      select n.*, l.place + 1
      from lane l
      cross join lateral (
        select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id
        from async.task t
        where async.waits_for_offer(t)
          and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
        order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
        limit 1
      ) n
      where l.place < in_max
    )
    select l.pool, l.target, true, l.priority, l.entered, l.task_id - 1, null::int, null::int from lane l;
    return;
  end if;
  return query
  with recursive lane as (
    (select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id, 1 as place
     from async.task t
     where async.waits_for_launch(t)
       and (coalesce(t.concurrency_pool, t.target), t.target) > (in_after_pool, in_after_target)
     order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
     limit 1)
    union all
    select n.*, l.place + 1
    from lane l
    cross join lateral (
      select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id
      from async.task t
      where async.waits_for_launch(t)
        and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
      order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
      limit 1
    ) n
    where l.place < in_max
  )
  select l.pool, l.target, false, l.priority, l.entered, l.task_id - 1, null::int, null::int from lane l;
end
$function$;
