-- Purpose: fires the schedules that are due, for both engines, in a transaction of the leader. A row
--   that another transaction has locked is left for a later call, and so is what exceeds the limits.
-- Returns: when to call it next; null when there is no schedule that is not paused.
-- Raises: nothing because of a single schedule.
-- Locks: the rows of async.schedule that it fires; never waits for one.
create or replace function async.fire_schedules(in_now timestamptz) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
declare
  c_schedules_max constant int := 100;
  c_pushes_max constant int := 1000;
  c_look_again constant interval := '1 second';
  v_due text[];
  v_name text;
  v_schedule async.schedule;
  v_defer text;
  v_pushed int := 0;
  v_next timestamptz;
begin
  v_due := array(
    select s.schedule from async.schedule s
    where s.last_time > in_now + interval '1 hour' and s.look_at is not null
    order by s.last_time
    limit c_schedules_max
    for no key update skip locked)
    || array(
    select s.schedule from async.schedule s
    where s.look_at is not null and s.look_at <= in_now
    order by s.look_at
    limit c_schedules_max
    for no key update skip locked);
  if v_due <> '{}' and async.has_user_triggers() then
    v_defer := async.defer_constraints();
  end if;
  foreach v_name in array v_due loop
    exit when v_pushed >= c_pushes_max;
    begin
      select s.* into v_schedule from async.schedule s where s.schedule = v_name;
      v_pushed := v_pushed + async.fire_schedule(v_schedule, in_now, c_pushes_max - v_pushed, v_defer);
    exception when assert_failure or others then
      perform async.log_quiet('WARNING', format('the schedule %L cannot be fired: %s', v_name,
        async.describe_refusal(sqlstate, sqlerrm)));
    end;
  end loop;
  if v_due <> '{}' then
    perform async.wake_leader();
  end if;
  v_next := async.next_firing(in_now);
  -- Another transaction holds what is due and was not fired.
  return case when v_next <= in_now and v_due = '{}' then in_now + c_look_again else v_next end;
end
$function$;
