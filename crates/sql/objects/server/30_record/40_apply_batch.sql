-- Purpose: applies one event to each of many tasks in one statement. Only where no user triggers look on, so it may
--   carry planner settings, and the completion and the release of the slot are one write.
-- Returns: one row a task that exists and is not locked: whether it was applied, and whether that released a slot
--   of its pool.
-- Raises: whatever a constraint of the user's raises; the caller falls back to apply_row.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.apply_batch(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events async.task_event_t[],
  in_statuses async.finish_status_t[],
  in_errors text[],
  in_durations interval[],
  in_timeouts interval[]
) returns table (task_id bigint, outcome text, released text)
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
  with next as (
    select n.*
    from async.next_rows(
      in_now, in_ids, in_runs, in_events, in_statuses, in_errors, in_durations, in_timeouts) n
  ), written as (
    update async.task t
    set consumed = n.consumed, processed = n.processed, yielded = n.yielded, finish_status = n.finish_status,
        failed = n.failed, processing_error = n.processing_error, times_up = n.times_up, tracked = n.tracked,
        eligible_when = n.eligible_when, run = n.run
    from next n
    where t.task_id = n.task_id and n.rejected is null
    returning t.task_id
  )
  select
    n.task_id,
    case when w.task_id is not null then 'applied' when n.rejected is not null then 'rejected' else 'gone' end,
    case when w.task_id is not null and n.was_tracked and n.tracked is not true then n.pool end
  from next n
  left join written w on w.task_id = n.task_id;
end
$function$;
