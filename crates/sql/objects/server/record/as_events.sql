-- Purpose: converts claims and plain ends to events.
-- Returns: them and the other events.
-- Raises: nothing.
-- Locks: none.
create or replace function async.as_events(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[]
) returns async.event_t[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return array(
      select row(e.task_id, e.run, 'CLAIM', e.at, null, null, null, null, e.timeout, null, null, null)::async.event_t
      from unnest(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts) as e(task_id, run, at, timeout))
    || array(
      select row(e.task_id, e.run, 'END_OK', e.at, null, null, null, null, null, null, null, null)::async.event_t
      from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at))
    || coalesce(in_events, '{}');
end
$function$;
