-- The state of each worker.
create or replace view async.v_worker_info as
select w.slot, w.target, w.task_id, w.running_since, t.query, t.priority, t.concurrency_pool
from async.worker w
left join async.task t on t.task_id = w.task_id
order by w.slot;
