-- Purpose: applies one event to each of many tasks in one statement, all or nothing. Only where no user triggers look on,
--   and for a leader that keeps count of its pools by itself.
-- Returns: whether every task took its event. If one did not, or the statement failed, nothing is changed: the caller
--   falls back to apply_events.
-- Raises: nothing.
-- Locks: the rows of async.task, as long as lock_timeout.
create or replace function async.apply_all(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events async.task_event_t[],
  in_statuses async.finish_status_t[],
  in_errors text[],
  in_durations interval[],
  in_timeouts interval[]
) returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_applied bigint;
begin
  update async.task t
  set consumed = n.consumed, processed = n.processed, yielded = n.yielded, finish_status = n.finish_status,
      failed = n.failed, processing_error = n.processing_error, times_up = n.times_up, tracked = n.tracked,
      eligible_when = n.eligible_when, run = n.run
  from unnest(in_ids, in_runs, in_events, in_statuses, in_errors, in_durations, in_timeouts)
    as e(task_id, run, event, status, error, duration, timeout)
  join async.task o on o.task_id = e.task_id
  cross join lateral async.step_task(o, e.event, e.status, e.error, e.duration, e.timeout, in_now) n
  where t.task_id = e.task_id
    -- The version that was decided about, or none.
    and t.ctid = o.ctid
    and (e.run is null or e.run = o.run)
    and n.rejected is null;
  get diagnostics v_applied = row_count;
  if v_applied <> cardinality(in_ids) then
    raise exception 'some tasks did not take their events';
  end if;
  return true;
exception when assert_failure or others then
  return false;
end
$function$;
