-- Every pool that is configured (each target has one) or in use, and its running tasks: one row for
-- each running task, or one row without a task.
create or replace view async.v_concurrency_pool_info as
select
  p.concurrency_pool,
  coalesce(r.workers, 0) as workers,
  async.pool_limit(p.concurrency_pool) as max_workers,
  t.task_id,
  t.query,
  t.consumed
from (
  select n.concurrency_pool from async.concurrency_pool n where not n.retired
  union
  select t.target from async.target t where not t.retired
  union
  select n.concurrency_pool from async.concurrency_pool_tracker n
) p
left join async.concurrency_pool_tracker r on r.concurrency_pool = p.concurrency_pool
left join (
  select u.task_id, u.query, u.consumed, coalesce(u.concurrency_pool, u.target) as pool
  from async.v_unfinished_task u
  where u.consumed is not null
) t on t.pool = p.concurrency_pool
order by lower(p.concurrency_pool), p.concurrency_pool, t.task_id;
