-- Purpose: applies events to their tasks in one statement for each kind. Only where users have no
--   triggers, so async.write_batch may set planner options, and the completion and the release of
--   the pool slot are one write. Claims and plain ends are almost all writes of a busy leader, so
--   they have separate statements, which repeat the rules of async.step_task and take a third less
--   work for a row.
-- Returns: the events that did not fit their rows: they are rejected, or the row changed meanwhile.
--   async.write_row finds the reason.
-- Raises: lock_not_available when another transaction holds one of the rows, and the errors of
--   constraints of users. async.write_batch handles both.
-- Locks: the rows of async.task; waits up to lock_timeout.
-- (Longer than a screen: one statement for each kind of event.)
create or replace function async.write_at_once(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[]
) returns async.event_t[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left async.event_t[] := '{}';
  v_rows bigint;
begin
  if in_claims <> '{}' then
    update async.task t
    set consumed = e.at, tracked = true, run = t.run + 1, eligible_when = null,
        times_up = least(t.expires_at,
          coalesce(nullif(t.times_up, t.expires_at), e.at + coalesce(t.manual_timeout, e.timeout), 'infinity')),
        finish_status = null, failed = null, processing_error = null
    from unnest(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts) as e(task_id, run, at, timeout)
    where t.task_id = e.task_id
      -- Always true, and selective to the planner. So it reads the arrays first and looks up each
      -- task, even if the table was small when the statement was planned.
      and e.at = e.at + interval '0'
      and (e.run is null or e.run = t.run)
      and t.consumed is null and t.yielded is null and t.processed is null and t.query is not null
      and (t.eligible_when is null or t.eligible_when <= e.at)
      and (t.times_up is null or t.times_up > e.at);
    get diagnostics v_rows = row_count;
    if v_rows < cardinality(in_claims) then
      v_left := array(
        select row(e.task_id, e.run, 'CLAIM', e.at, null, null, null, null, e.timeout, null, null, null)::async.event_t
        from unnest(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts) as e(task_id, run, at, timeout)
        where not exists (
          select from async.task t
          where t.task_id = e.task_id and t.consumed = e.at and t.run = coalesce(e.run + 1, t.run)));
    end if;
  end if;

  if in_ends <> '{}' then
    update async.task t
    set processed = e.at, finish_status = 'FINISHED', failed = false, processing_error = null, eligible_when = null,
        tracked = false
    from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at)
    where t.task_id = e.task_id
      -- As above.
      and e.at = e.at + interval '0'
      and (e.run is null or e.run = t.run)
      and t.consumed is not null and t.yielded is null and t.processed is null and t.query is not null
      and t.asynchronous_finish is not true and t.tracked
      -- A success after failed attempts is noted.
      and (t.attempt is null or t.attempt = 0);
    get diagnostics v_rows = row_count;
    -- Read again only in the session of the SQL engine, which counts pools. A RETURNING clause
    -- would cost the other engine more than this costs here.
    if v_rows > 0 and to_regclass('pg_temp.leader_pool') is not null then
      perform async.release_pools(array(
        select coalesce(t.concurrency_pool, t.target)
        from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at)
        join async.task t on t.task_id = e.task_id
        where e.at = e.at + interval '0'
          and t.processed = e.at and t.finish_status = 'FINISHED' and t.run = coalesce(e.run, t.run)));
    end if;
    if v_rows < cardinality(in_ends) then
      v_left := v_left || async.write_events_at_once(array(
        select row(e.task_id, e.run, 'END_OK', e.at, null, null, null, null, null, null, null, null)::async.event_t
        from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at)
        where not exists (
          select from async.task t
          where t.task_id = e.task_id and t.processed = e.at and t.finish_status = 'FINISHED'
            and t.run = coalesce(e.run, t.run))));
    end if;
  end if;

  if in_events <> '{}' then
    v_left := v_left || async.write_events_at_once(in_events);
  end if;
  return v_left;
end
$function$;
