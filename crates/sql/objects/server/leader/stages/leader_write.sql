-- Purpose: writes events for the SQL engine (see async.write_all): tasks whose rows could not be
--   written go into backoff, and the backoff of written tasks ends.
-- Returns: the tasks that differ from the prediction, as async.write_all, and whether they are in
--   backoff.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.leader_write(
  in_now timestamptz,
  in_claims bigint[], in_claim_runs int[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[],
  in_events async.event_t[]
) returns table (
  task_id bigint, event text, outcome text, consumed timestamptz, processed timestamptz, yielded timestamptz,
  tracked bool, run int, backs_off bool
)
language plpgsql
as $function$
#variable_conflict use_column
declare
  v_claims_at constant timestamptz[] := array_fill(in_now, array[coalesce(cardinality(in_claims), 0)]);
  v_ends_at constant timestamptz[] := array_fill(in_now, array[coalesce(cardinality(in_ends), 0)]);
  v_left async.event_t[];
  v_batch record;
  v_row record;
  v_noted text;
begin
  v_noted := async.note_value('pgasync_batch_tasks', async.metric_bounds('pgasync_batch_tasks'),
    coalesce(cardinality(in_claims), 0) + coalesce(cardinality(in_ends), 0) + coalesce(cardinality(in_events), 0));
  v_noted := async.note_tasks('ended', in_ends);
  if cardinality(in_events) > 0 then
    v_noted := async.note_tasks('ended', array(
      select e.task_id
      from unnest(in_events) e
      where e.event in ('END_OK', 'END_ERROR', 'END_UNKNOWN', 'REQUEST', 'DEADLINE', 'UNREACHABLE', 'GIVE_UP')));
  end if;
  -- Usually one statement for each kind of event writes all, and nothing is left.
  if async.has_user_triggers() then
    v_left := async.as_events(in_claims, in_claim_runs, v_claims_at, in_claim_timeouts, in_ends, in_end_runs, v_ends_at,
      in_events);
  else
    v_batch := async.write_batch(in_claims, in_claim_runs, v_claims_at, in_claim_timeouts, in_ends, in_end_runs, v_ends_at,
      in_events);
    v_left := v_batch.left_over;
  end if;
  if v_left <> '{}' then
    for v_row in
      select w.* from async.write_all(null, null, null, null, null, null, null, v_left, true) w
    loop
      task_id := v_row.task_id;
      event := v_row.event;
      outcome := v_row.outcome;
      consumed := v_row.consumed;
      processed := v_row.processed;
      yielded := v_row.yielded;
      tracked := v_row.tracked;
      run := v_row.row_run;
      -- A request that does not fit an unfinished task stays until it fits.
      backs_off := outcome in ('locked', 'failed')
        or outcome = 'rejected' and event = 'REQUEST' and run is not null and processed is null;
      if backs_off then
        perform async.back_off_task(task_id, outcome, v_row.error, in_now);
      end if;
      return next;
    end loop;
  end if;
  if exists (select from pg_temp.leader_backoff) then
    delete from pg_temp.leader_backoff p
    where p.until <= in_now
      and p.task_id = any (in_claims || in_ends || array(select e.task_id from unnest(in_events) e));
  end if;
end
$function$;
