-- Purpose: applies one event to each of many tasks, all or nothing. Only where no user triggers look on, and for a leader
--   that keeps count of its pools by itself. Claims and plain ends are nearly all of what a busy leader writes, so they
--   have statements of their own, which say for these two what step_task says for all (a third less work a row).
-- Returns: whether every task took its event. If one did not, or a statement failed, nothing is changed: the caller
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
  v_applied bigint := 0;
  v_rows bigint;
begin
  if 'CLAIM' = any (in_events) then
    update async.task t
    set consumed = in_now, tracked = true, run = t.run + 1, eligible_when = null,
        times_up = coalesce(t.times_up, in_now + coalesce(t.manual_timeout, e.timeout), 'infinity'),
        finish_status = null, failed = null, processing_error = null
    from unnest(in_ids, in_runs, in_events, in_timeouts) as e(task_id, run, event, timeout)
    where e.event = 'CLAIM'
      and t.task_id = e.task_id
      and (e.run is null or e.run = t.run)
      and t.consumed is null and t.yielded is null and t.processed is null and t.query is not null
      and (t.eligible_when is null or t.eligible_when <= in_now)
      and (t.times_up is null or t.times_up > in_now);
    get diagnostics v_applied = row_count;
  end if;
  if 'END_OK' = any (in_events) then
    update async.task t
    set processed = in_now, finish_status = 'FINISHED', failed = false, processing_error = null, eligible_when = null,
        tracked = case when t.tracked then false else t.tracked end
    from unnest(in_ids, in_runs, in_events, in_statuses) as e(task_id, run, event, status)
    where e.event = 'END_OK' and e.status is null
      and t.task_id = e.task_id
      and (e.run is null or e.run = t.run)
      and t.consumed is not null and t.yielded is null and t.processed is null and t.query is not null
      and t.asynchronous_finish is not true;
    get diagnostics v_rows = row_count;
    v_applied := v_applied + v_rows;
  end if;
  if v_applied < cardinality(in_ids) then
    update async.task t
    set consumed = n.consumed, processed = n.processed, yielded = n.yielded, finish_status = n.finish_status,
        failed = n.failed, processing_error = n.processing_error, times_up = n.times_up, tracked = n.tracked,
        eligible_when = n.eligible_when, run = n.run
    from unnest(in_ids, in_runs, in_events, in_statuses, in_errors, in_durations, in_timeouts)
      as e(task_id, run, event, status, error, duration, timeout)
    join async.task o on o.task_id = e.task_id
    cross join lateral async.step_task(o, e.event, e.status, e.error, e.duration, e.timeout, in_now) n
    where e.event <> 'CLAIM'
      and (e.event <> 'END_OK' or e.status is not null or o.asynchronous_finish)
      and t.task_id = e.task_id
      -- The version that was decided about, or none.
      and t.ctid = o.ctid
      and (e.run is null or e.run = o.run)
      and n.rejected is null;
    get diagnostics v_rows = row_count;
    v_applied := v_applied + v_rows;
  end if;
  if v_applied <> cardinality(in_ids) then
    raise exception 'some tasks did not take their events';
  end if;
  return true;
exception when assert_failure or others then
  return false;
end
$function$;
