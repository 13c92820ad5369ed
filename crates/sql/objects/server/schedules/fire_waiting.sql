-- Purpose: pushes the first waiting time of a schedule at each target at which its task has ended.
-- Returns: the number of tasks, the last of them with its time, and the refusals. A refused time waits
--   no longer.
-- Raises: as async.fire_at_target.
-- Locks: as async.push_scheduled.
create or replace function async.fire_waiting(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_defer text,
  out out_pushed int, out out_last_task bigint, out out_last_time timestamptz, out out_refusals text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_targets_max constant int := 1000;
  v_wait record;
  v_done record;
begin
  out_pushed := 0;
  out_refusals := '{}';
  for v_wait in
    select w.target, min(w.scheduled_for) as scheduled_for
    from async.schedule_wait w
    where w.schedule = in_schedule.schedule and not async.schedule_is_unfinished(in_schedule.schedule, w.target)
    group by w.target
    order by w.target collate "C"
    limit c_targets_max
  loop
    v_done := async.fire_at_target(in_schedule, in_owner, in_scope, v_wait.target, v_wait.scheduled_for, in_defer);
    delete from async.schedule_wait w
    where w.schedule = in_schedule.schedule and w.target = v_wait.target and w.scheduled_for = v_wait.scheduled_for;
    if v_done.out_refusal is null then
      out_pushed := out_pushed + 1;
      out_last_task := v_done.out_task_id;
      out_last_time := greatest(out_last_time, v_wait.scheduled_for);
    else
      out_refusals := out_refusals || v_done.out_refusal;
    end if;
  end loop;
end
$function$;
