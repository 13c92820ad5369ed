-- Every pool that is configured (each target has one), in use or with waiting tasks: its occupancy,
-- its size, the number of waiting tasks (up to 10000 for each target; more is true if there are
-- more), and the age of the oldest.
create or replace view async.v_pool as
select
  n.concurrency_pool,
  coalesce(k.workers, 0) as running,
  async.pool_limit(n.concurrency_pool) as max_workers,
  coalesce(w.waiting, 0)::bigint as waiting,
  coalesce(w.more, false) as more,
  w.oldest,
  clock_timestamp() - w.oldest as waiting_for,
  coalesce(k.workers, 0) >= async.pool_limit(n.concurrency_pool) as is_full,
  n.retired,
  async.is_paused(n.concurrency_pool, null) as paused
from (
  select a.concurrency_pool, bool_and(a.retired) as retired
  from (
    select c.concurrency_pool, c.retired from async.concurrency_pool c
    union all
    select t.target, t.retired from async.target t
    union all
    select r.concurrency_pool, false from async.concurrency_pool_tracker r where r.workers > 0
    union all
    select d.pool, false from async.discover_lanes() d
  ) a
  group by a.concurrency_pool
) n
left join async.concurrency_pool_tracker k on k.concurrency_pool = n.concurrency_pool
left join (
  select d.pool, sum(b.waiting) as waiting, bool_or(b.more) as more, min(b.oldest) as oldest
  from async.discover_lanes() d
  cross join lateral async.lane_backlog(d.pool, d.target, d.pullable) b
  group by d.pool
) w on w.pool = n.concurrency_pool
order by n.concurrency_pool;
