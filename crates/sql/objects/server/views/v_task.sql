-- Every task with its phase, the time that it waited for its last start, and the time that it ran.
-- A filter on phase reads all tasks. A filter on task_id, or on the predicate of an index, does
-- not.
create or replace view async.v_task as
select
  t.task_id,
  async.task_execution_state(t) as phase,
  -- The clocks of a push and of a claim may differ.
  greatest(coalesce(t.consumed, t.processed, clock_timestamp()) - t.entered, interval '0') as waited,
  coalesce(t.processed, clock_timestamp()) - t.consumed as took,
  t.target,
  t.priority,
  t.entered,
  t.consumed,
  t.processed,
  t.yielded,
  t.finish_status,
  t.source,
  t.query,
  t.failed,
  t.processing_error,
  t.asynchronous_finish,
  t.times_up,
  t.task_data,
  t.concurrency_pool,
  t.manual_timeout,
  t.tracked,
  t.track_yielded,
  t.eligible_when,
  t.run,
  t.pushed_by,
  t.run_at,
  t.expires_at,
  t.unique_key,
  t.unique_while,
  t.attempt,
  t.retry,
  t.schedule,
  t.scheduled_for,
  t.keep_result_for,
  t.ended_by
from async.task t;
