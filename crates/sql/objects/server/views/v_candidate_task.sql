-- The tasks that would run next: the heads of the lanes that fit into their pools and into the free
-- workers, by the published occupancy (at most one second old). n is the position in the pool.
create or replace view async.v_candidate_task as
select c.*
from (
  select
    -- Columns that are new go to the end.
    h.task_id, h.target, h.priority, h.entered, h.consumed, h.processed, h.yielded, h.finish_status,
    h.source, h.query, h.failed, h.processing_error, h.asynchronous_finish, h.times_up, h.task_data,
    h.concurrency_pool, h.manual_timeout, h.tracked, h.track_yielded, h.eligible_when, h.run,
    async.mask_connection_string(g.connection_string) as connection_string,
    g.default_timeout,
    l.max_workers,
    l.workers,
    row_number() over (partition by l.pool order by h.priority, h.entered, h.task_id) as n,
    h.pushed_by
  from (
    select d.pool, d.target, async.pool_limit(d.pool) as max_workers, coalesce(p.workers, 0) as workers
    from async.discover_lanes() d
    left join async.concurrency_pool_tracker p on p.concurrency_pool = d.pool
    where not d.pullable and not async.is_paused(d.pool, d.target)
  ) l
  join async.target g on g.target = l.target
  cross join lateral (
    select t.*
    from async.task t
    where coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
      and async.waits_for_launch(t)
    order by t.priority, t.entered, t.task_id
    limit greatest(l.max_workers - l.workers, 0)
  ) h
) c
where c.n <= c.max_workers - c.workers
order by c.priority, c.entered, c.task_id
limit (select greatest(g.workers - async.active_workers(), 0) from async.control g);
