-- Purpose: applies events where users have no triggers: all in one statement, or, if another
--   transaction holds some of the rows, those whose rows can be locked.
-- Returns: the events that are left for async.write_row; and whether the whole table is locked, so
--   that no row can be written now.
-- Raises: nothing.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.write_batch(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[], out left_over async.event_t[], out table_locked bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_held bigint[];
begin
  table_locked := false;
  begin
    left_over := async.write_at_once(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
      in_ends_at, in_events);
    return;
  exception
    when lock_not_available then null;
    when assert_failure or others then
      left_over := async.as_events(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
        in_ends_at, in_events);
      return;
  end;

  left_over := async.as_events(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
    in_ends_at, in_events);
  begin
    lock table async.task in row exclusive mode nowait;
  exception when lock_not_available then
    table_locked := true;
    return;
  end;
  begin
    v_held := array(
      select t.task_id from async.task t
      where t.task_id = any (array(select e.task_id from unnest(left_over) e))
      order by t.task_id
      for no key update skip locked);
    -- The rows are locked. Only the extension of the table may wait now.
    perform set_config('lock_timeout', '100ms', true);
    left_over := async.write_events_at_once(array(select e from unnest(left_over) e where e.task_id = any (v_held)))
      || array(select e from unnest(left_over) e where e.task_id <> all (v_held));
  exception when assert_failure or others then
    null;
  end;
end
$function$;
