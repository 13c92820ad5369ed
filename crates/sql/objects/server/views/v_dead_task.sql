-- The failed tasks whose attempts are used up, with their last error. async.attempt has the attempts.
create or replace view async.v_dead_task as
select
  t.task_id,
  t.target,
  t.attempt,
  t.retry ->> 'name' as retry_policy,
  t.finish_status,
  t.processing_error,
  t.entered,
  t.processed,
  t.source,
  t.query
from async.task t
where t.retry is not null and t.failed
  and t.finish_status in ('FAILED', 'TIMED_OUT')
  and t.attempt >= (t.retry ->> 'max_attempts')::int;
