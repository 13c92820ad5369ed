-- Purpose: the one writer of transitions: applies one event to each task, all in one statement where it can, row by
--   row where users' triggers look on or where the one statement failed, so that one odd row holds up no other.
--   Slots that become free are given back to their pools.
-- Returns: one row a task of in_ids: 'applied', 'rejected' (the event does not fit, the row is as it was), 'gone'
--   (no such row), 'locked' (somebody holds the row: try later), 'failed' (a trigger or constraint raised; error
--   says what).
-- Raises: nothing of a single row's.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.apply_events(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events async.task_event_t[],
  in_statuses async.finish_status_t[],
  in_errors text[],
  in_durations interval[],
  in_timeouts interval[]
) returns table (task_id bigint, outcome text, error text)
language plpgsql
as $function$
declare
  v_event record;
  v_row record;
  v_released text[] := '{}';
  v_seen bigint[] := '{}';
begin
  if not async.has_user_triggers() then
    begin
      for v_row in
        select b.task_id, b.released
        from async.apply_batch(
          in_now, in_ids, in_runs, in_events, in_statuses, in_errors, in_durations, in_timeouts) b
      loop
        task_id := v_row.task_id;
        outcome := 'applied';
        error := null;
        return next;
        v_seen := v_seen || v_row.task_id;
        if v_row.released is not null then
          v_released := v_released || v_row.released;
        end if;
      end loop;
    exception when assert_failure or others then
      -- Nothing of the batch was written, and no row of it returned: the statement raises before its first one.
      v_seen := '{}';
      v_released := '{}';
    end;
  end if;
  if cardinality(v_seen) < cardinality(in_ids) then
    for v_event in
      select e.*
      from unnest(in_ids, in_runs, in_events, in_statuses, in_errors, in_durations, in_timeouts)
        with ordinality as e(id, run, event, status, error, duration, timeout, place)
      where e.id <> all (v_seen)
      order by e.place
    loop
      task_id := v_event.id;
      error := null;
      begin
        select r.outcome, r.released into v_row
        from async.apply_row(
          in_now, v_event.id, v_event.run, v_event.event, v_event.status, v_event.error,
          v_event.duration, v_event.timeout) r;
        outcome := v_row.outcome;
        if v_row.released is not null then
          v_released := v_released || v_row.released;
        end if;
      exception when assert_failure or others then
        outcome := 'failed';
        error := sqlerrm;
      end;
      return next;
    end loop;
  end if;
  if v_released <> '{}' then
    perform async.release_pools(v_released);
  end if;
end
$function$;
