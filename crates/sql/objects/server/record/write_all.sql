-- Purpose: the one writer of transitions. Claims (with the run before the claim) and plain ends
--   (END_OK without a status), the most frequent writes of a leader, are arrays. Applies each event
--   to its task, in one statement if possible, row by row where users have triggers or the
--   statement failed, so that one row that cannot be written does not hold up the others. A call
--   names a task at most once. Maintains the offers, deletes settled requests, and releases pool
--   slots in the memory of the SQL engine. With in_check, deferred constraints are checked in the
--   block of each row, so that they do not fail the commit.
-- Returns: only tasks that differ from the prediction of async.step_task. outcome is 'rejected'
--   (the event does not fit, the row is unchanged; error has the reason), 'locked' (another
--   transaction holds the row), 'failed' (a trigger or constraint raised error), 'gone' (the row
--   does not exist), 'rewritten' (a trigger or a request changed the row in another way). The other
--   columns are the present row, null when there is none or it cannot be read. With in_touched (the
--   Rust engine), the rows of async.changed_task_rows where users have triggers: 'touched' for each task
--   that finish_internal changed meanwhile, and one row 'triggers' without a task; the call is the last
--   one of its transaction. With in_epoch, the epoch is held first, and the call is a whole write
--   transaction of the Rust engine.
-- Raises: nothing because of a single row. With in_epoch, PA212 as async.hold_epoch.
-- Locks: the rows of async.task; never waits for one.
-- (Longer than a screen: one loop with a block for each row.)
create or replace function async.write_all(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[], in_check bool, in_touched bool default false, in_epoch bigint default null
) returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int,
  attempt int, ended_by text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  v_batch record;
  v_left async.event_t[];
  v_table_locked bool := false;
  v_triggers constant bool := async.has_user_triggers();
  v_defer text;
  v_event async.event_t;
  v_row record;
begin
  if in_epoch is not null then
    perform async.hold_epoch(in_epoch);
  end if;
  if v_triggers then
    v_left := async.as_events(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
      in_ends_at, in_events);
    if in_check then
      v_defer := async.defer_constraints();
    end if;
  else
    v_batch := async.write_batch(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
      in_ends_at, in_events);
    v_left := v_batch.left_over;
    v_table_locked := v_batch.table_locked;
  end if;
  if not v_table_locked and cardinality(v_left) > 0 then
    -- Row by row, nothing waits for the table, not even to read the type of its rows.
    begin
      lock table async.task in row exclusive mode nowait;
    exception when lock_not_available then
      v_table_locked := true;
    end;
  end if;
  foreach v_event in array v_left loop
    task_id := v_event.task_id;
    run := v_event.run;
    event := v_event.event;
    if v_table_locked then
      outcome := 'locked';
      error := null;
      return next;
      continue;
    end if;
    begin
      v_row := async.write_row(v_event, v_defer);
      outcome := v_row.outcome;
      error := v_row.error;
      continue when outcome is null;
    exception
      when lock_not_available then
        outcome := 'locked';
        error := null;
        select null::text as outcome, null::text as error, r as is_now into v_row
        from async.present_row(v_event.task_id) r;
      when assert_failure or others then
        outcome := 'failed';
        error := sqlerrm;
        select null::text as outcome, null::text as error, r as is_now into v_row
        from async.present_row(v_event.task_id) r;
    end;
    consumed := (v_row.is_now).consumed;
    processed := (v_row.is_now).processed;
    yielded := (v_row.is_now).yielded;
    finish_status := (v_row.is_now).finish_status::text;
    failed := (v_row.is_now).failed;
    processing_error := (v_row.is_now).processing_error;
    times_up := (v_row.is_now).times_up;
    tracked := (v_row.is_now).tracked;
    eligible_when := (v_row.is_now).eligible_when;
    row_run := (v_row.is_now).run;
    attempt := coalesce((v_row.is_now).attempt, 0);
    ended_by := (v_row.is_now).ended_by;
    return next;
  end loop;
  -- One call for two functions: a busy leader asks for its triggers with every batch.
  if v_triggers and in_touched then
    perform async.wait_for_commit();
    return query select * from async.changed_task_rows();
  end if;
end
$function$;
