-- Purpose: locks the given tasks, leaving out those that somebody else holds, and says what the events make of
--   them. in_runs names the run that an event belongs to (null: any).
-- Returns: one row a task that exists and is not locked: its next values, or why it is rejected.
-- Raises: nothing.
-- Locks: the returned rows of async.task, until the transaction ends; never waits.
create or replace function async.next_rows(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events async.task_event_t[],
  in_statuses async.finish_status_t[],
  in_errors text[],
  in_durations interval[],
  in_timeouts interval[]
) returns table (
  task_id bigint, pool text, was_tracked bool, rejected text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status async.finish_status_t,
  failed bool, processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, run int
)
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
  select
    e.task_id, coalesce(t.concurrency_pool, t.target), t.tracked,
    case when e.run is not null and e.run <> t.run then 'the event belongs to another run' else n.rejected end,
    n.consumed, n.processed, n.yielded, n.finish_status, n.failed, n.processing_error,
    n.times_up, n.tracked, n.eligible_when, n.run
  from unnest(in_ids, in_runs, in_events, in_statuses, in_errors, in_durations, in_timeouts)
    as e(task_id, run, event, status, error, duration, timeout)
  join async.task t on t.task_id = e.task_id
  cross join lateral async.step_task(t, e.event, e.status, e.error, e.duration, e.timeout, in_now) n
  for update of t skip locked;
end
$function$;
