-- Every RUNNING task, the longest first: its start, its running time, its deadline, and its worker
-- (as published, at most one second old; null for a task that a client pulled).
create or replace view async.v_running_task as
select
  t.task_id,
  t.target,
  coalesce(t.concurrency_pool, t.target) as concurrency_pool,
  t.consumed as since,
  clock_timestamp() - t.consumed as running_for,
  t.times_up,
  w.slot,
  t.query is null as pulled,
  t.priority,
  t.source,
  t.query
from async.task t
left join async.worker w on w.task_id = t.task_id
-- The predicate of the index on deadlines: every claimed task has a deadline.
where (t.times_up is not null or t.yielded is not null) and t.processed is null
  and t.consumed is not null and t.yielded is null
order by t.consumed, t.task_id;
