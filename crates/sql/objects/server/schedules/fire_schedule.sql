-- Purpose: fires one schedule: the waiting times whose targets are free, then the times that are due.
--   It advances the row in the same transaction. An error that may pass by itself changes nothing, and
--   the leader looks again a second later; any other error of the row, a minute later.
-- Returns: the number of tasks that were pushed.
-- Raises: nothing because of the schedule.
-- Locks: as async.push_scheduled. The caller has locked the row.
-- (Longer than a screen: what the steps found becomes one update.)
create or replace function async.fire_schedule(
  in_schedule async.schedule, in_now timestamptz, in_pushes_max int, in_defer text
) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_times_max constant int := 100;
  c_waiting_max constant int := 1000;
  c_look_again constant interval := '1 second';
  c_look_after_error constant interval := '1 minute';
  c_log_every constant interval := '1 minute';
  v_owner name;
  v_scope async.scope_t;
  v_targets text[];
  v_waiting bigint;
  v_decision record;
  v_done record;
  v_time timestamptz;
  v_pushed int := 0;
  v_refusals text[] := '{}';
  v_refusal text;
  v_next async.schedule := in_schedule;
begin
  begin
    v_owner := (select r.rolname from pg_roles r where r.oid = in_schedule.owner);
    v_scope := case when async.is_owner(v_owner) then row('{*}', true)::async.scope_t
      else async.granted_scope(v_owner) end;
    v_targets := async.schedule_targets(in_schedule.target, v_scope);
    select count(*) into v_waiting from async.schedule_wait w where w.schedule = in_schedule.schedule;
    if v_owner is null then
      v_refusals := array[async.describe_refusal('PA0A6',
        format('the role %s, which owns the schedule, does not exist', in_schedule.owner))];
      delete from async.schedule_wait w where w.schedule = in_schedule.schedule;
    elsif v_waiting > 0 then
      v_done := async.fire_waiting(in_schedule, v_owner, v_scope, in_defer);
      v_pushed := v_done.out_pushed;
      v_refusals := v_done.out_refusals;
      v_next.last_task_id := coalesce(v_done.out_last_task, v_next.last_task_id);
      v_next.last_fired := greatest(v_done.out_last_time, v_next.last_fired);
    end if;

    v_decision := async.decide_schedule(in_schedule."when", in_schedule.time_zone, in_schedule.catch_up,
      in_schedule.last_time, in_schedule.next_time, in_now,
      -- Times that find no room to wait in stay due.
      case when in_schedule.overlap = 'buffer_all' and v_waiting >= c_waiting_max then 0
        else greatest(1, least(c_times_max, in_pushes_max / greatest(cardinality(v_targets), 1))) end);
    if v_decision.out_set_back then
      perform async.log_quiet('WARNING', format(
        'the schedule %L goes on from %s: the clock was set back, it had fired up to %s',
        in_schedule.schedule, in_now, in_schedule.last_time));
    end if;
    v_next.last_time := v_decision.out_last;
    v_next.next_time := v_decision.out_next;
    if v_owner is not null and v_targets = '{}' and v_decision.out_fires <> '{}' then
      v_refusals := v_refusals || async.describe_refusal('PA0A6',
        format('no target that %I may use has the tag %L', v_owner, substr(in_schedule.target, 5)));
    end if;
    foreach v_time in array case when v_owner is null then '{}' else v_decision.out_fires end loop
      v_done := async.fire_time(in_schedule, v_owner, v_scope, v_targets, v_time, in_defer);
      v_pushed := v_pushed + v_done.out_pushed;
      v_refusals := v_refusals || v_done.out_refusals;
      v_next.last_task_id := coalesce(v_done.out_last_task, v_next.last_task_id);
      if v_done.out_pushed > 0 then
        v_next.last_fired := v_time;
      end if;
      if v_done.out_skipped then
        v_next.last_skipped := v_time;
      end if;
    end loop;
    select count(*) into v_waiting from async.schedule_wait w where w.schedule = in_schedule.schedule;
    v_next.look_at := case
      when v_waiting = 0 then v_next.next_time
      when v_waiting >= c_waiting_max then in_now + c_look_again
      else least(v_next.next_time, in_now + c_look_again) end;
  exception when assert_failure or others then
    v_pushed := 0;
    v_next := in_schedule;
    v_refusals := array[async.describe_refusal(sqlstate, sqlerrm)];
    v_next.look_at := in_now
      + case when async.is_passing_error(sqlstate) then c_look_again else c_look_after_error end;
  end;

  if v_refusals <> '{}' then
    v_refusal := left(array_to_string(array(select distinct r from unnest(v_refusals) r order by r), '; '), 4000);
    if v_refusal is distinct from in_schedule.last_refusal
      or in_schedule.refusal_logged is null or in_schedule.refusal_logged not between in_now - c_log_every and in_now
    then
      perform async.log_quiet('WARNING', format('the schedule %L did not push: %s', in_schedule.schedule, v_refusal));
      v_next.refusal_logged := in_now;
    end if;
    v_next.last_refusal := v_refusal;
    v_next.last_refused := in_now;
  end if;
  update async.schedule s set
    last_time = v_next.last_time,
    next_time = v_next.next_time,
    look_at = v_next.look_at,
    last_fired = v_next.last_fired,
    last_task_id = v_next.last_task_id,
    last_skipped = v_next.last_skipped,
    last_refused = v_next.last_refused,
    last_refusal = v_next.last_refusal,
    refusal_logged = v_next.refusal_logged
  where s.schedule = in_schedule.schedule;
  return v_pushed;
end
$function$;
