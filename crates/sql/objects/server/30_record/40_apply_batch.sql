-- Purpose: applies one event to each of many tasks in one statement. Only where no user triggers look on, so it may
--   carry planner settings, and the completion and the release of the slot are one write.
-- Returns: one row a task that took its event, and the pool that this released a slot of, if any. Whoever is missing
--   was rejected, or changed meanwhile: apply_row tells.
-- Raises: lock_not_available when somebody holds one of the rows, and whatever a constraint of the user's raises: the
--   caller falls back to apply_row.
-- Locks: the rows of async.task, as long as lock_timeout.
create or replace function async.apply_batch(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events async.task_event_t[],
  in_statuses async.finish_status_t[],
  in_errors text[],
  in_durations interval[],
  in_timeouts interval[]
) returns table (task_id bigint, released text)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
#variable_conflict use_column
begin
  return query
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
    and n.rejected is null
  returning t.task_id, case when o.tracked and t.tracked is not true then coalesce(t.concurrency_pool, t.target) end;
end
$function$;
