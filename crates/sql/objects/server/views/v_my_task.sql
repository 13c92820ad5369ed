-- The tasks that the reader pushed, or a role whose privileges it has: phase, outcome, times, and why a
-- READY task waits. reason takes a look at the state of the server for each READY task that is read.
-- The barrier keeps conditions of the reader from the tasks of others.
create or replace view async.v_my_task with (security_barrier) as
select
  t.task_id,
  async.task_execution_state(t) as phase,
  t.finish_status,
  t.failed,
  t.target,
  coalesce(t.concurrency_pool, t.target) as concurrency_pool,
  t.priority,
  t.source,
  t.entered,
  t.consumed,
  t.yielded,
  t.processed,
  greatest(coalesce(t.consumed, t.processed, clock_timestamp()) - t.entered, interval '0') as waited,
  coalesce(t.processed, clock_timestamp()) - t.consumed as took,
  t.eligible_when,
  t.times_up,
  t.run_at,
  t.expires_at,
  t.run,
  t.attempt,
  t.unique_key,
  t.schedule,
  t.scheduled_for,
  t.pushed_by,
  t.ended_by,
  t.task_data,
  t.query,
  t.processing_error,
  case when t.processed is null and t.consumed is null and t.yielded is null
    then (select async.why_task_waits(c.caller, c.ticket, t.task_id) from async.caller c)
  end as reason
from async.task t
cross join (select async.roles_of(current_user) as own, async.ambiguous_roles() as ambiguous offset 0) r
where async.is_pushed_by(t.pushed_by, r.own, r.ambiguous);
