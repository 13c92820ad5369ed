-- Purpose: one time of a schedule at its targets, by its overlap policy.
-- Returns: what it did: how many tasks were pushed, the last of them, whether a target was skipped,
--   and the refusals.
-- Raises: as async.fire_at_target.
-- Locks: as async.push_scheduled.
create or replace function async.fire_time(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_targets text[], in_time timestamptz,
  in_defer text,
  out out_pushed int, out out_last_task bigint, out out_skipped bool, out out_refusals text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_target text;
  v_done record;
  v_what text;
begin
  out_pushed := 0;
  out_skipped := false;
  out_refusals := '{}';
  foreach v_target in array in_targets loop
    v_what := case when in_schedule.overlap = 'allow_all' then 'push'
      else async.decide_overlap(in_schedule.overlap, async.schedule_is_unfinished(in_schedule.schedule, v_target),
        exists (select from async.schedule_wait w where w.schedule = in_schedule.schedule and w.target = v_target)) end;
    if v_what = 'replace' then
      perform async.cancel_scheduled(in_schedule.schedule, v_target);
    end if;
    if in_schedule.overlap = 'cancel_other' then
      delete from async.schedule_wait w where w.schedule = in_schedule.schedule and w.target = v_target;
    end if;
    if v_what in ('wait', 'replace') then
      insert into async.schedule_wait (schedule, target, scheduled_for)
      values (in_schedule.schedule, v_target, in_time)
      on conflict do nothing;
    elsif v_what = 'skip' then
      out_skipped := true;
    else
      v_done := async.fire_at_target(in_schedule, in_owner, in_scope, v_target, in_time, in_defer);
      if v_done.out_refusal is null then
        out_pushed := out_pushed + 1;
        out_last_task := v_done.out_task_id;
      elsif v_done.out_refusal <> all (out_refusals) then
        out_refusals := out_refusals || v_done.out_refusal;
      end if;
    end if;
  end loop;
end
$function$;
