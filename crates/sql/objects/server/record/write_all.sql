-- Purpose: the one writer of transitions; what a leader writes most, claims (with the run before
--   the claim) and plain ends (END_OK without a status), comes as arrays. Applies each event to its
--   task, all in one statement where it can, row by row where users have triggers or where the one
--   statement failed, so that one odd row holds up no other. A task is named at most once in a
--   call. Keeps the offers, deletes the requests that are settled, and gives slots that become free
--   back to their pools in the memory of the SQL engine. With in_check deferred constraints are
--   checked in each row's own block, so that they do not fail the commit.
-- Returns: only tasks that are not what step_task predicts of the event: outcome is 'rejected' (the
--   event does not fit, the row is as it was; error says why), 'locked' (another transaction holds
--   the row: try later), 'failed' (a trigger or constraint raised; error says what), 'gone' (there
--   is no such row), 'rewritten' (a trigger or a request made something else of the row). What
--   follows is the row as it is now, null when there is none or it cannot be read. With in_touched
--   (a leader in another process), where users have triggers, besides what touched_rows says: a row
--   'touched' for each task that finish_internal changed meanwhile, and one with outcome 'triggers'
--   and no task. With in_epoch, the epoch is held first: the call is a whole write transaction of a
--   leader in another process.
-- Raises: nothing of a single row's. With in_epoch, PA212 as hold_epoch.
-- Locks: the rows of async.task; never waits for one.
-- (Longer than a screen: one loop with a block for each row.)
create or replace function async.write_all(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[], in_check bool, in_touched bool default false, in_epoch bigint default null
) returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int
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
    -- Row by row nothing may wait for the table any more, not even to read the type of its rows.
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
        from async.row_as_it_is(v_event.task_id) r;
      when assert_failure or others then
        outcome := 'failed';
        error := sqlerrm;
        select null::text as outcome, null::text as error, r as is_now into v_row
        from async.row_as_it_is(v_event.task_id) r;
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
    return next;
  end loop;
  -- Once for two functions: a busy leader asks for its triggers with every batch.
  if v_triggers and in_touched then
    return query select * from async.touched_rows();
  end if;
end
$function$;
