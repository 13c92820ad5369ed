-- Purpose: performs one bounded step of the upkeep: says what to vacuum, or deletes old history and
--   log lines. in_writes is the number of rows of async.task that the leader has written since the
--   last step. The state is a setting of the session.
-- Returns: the VACUUM that is due (null: none), and whether more history or log lines may be old.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.upkeep_step(
  in_now timestamptz, in_writes bigint, out out_vacuum text, out out_more bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- A transaction may push long after it began, and entered is its beginning. So a pass ends after
  -- this many rows in a row that entered too late to be old.
  c_young_rows_at_end constant int := 1000;
  c_log_lines_per_step constant int := 5000;
  v_state async.upkeep_t := async.plan_vacuum(async.upkeep_state(), in_now, in_writes);
  v_control async.control;
  v_step record;
  v_lines int := 0;
begin
  out_vacuum := v_state.vacuum;
  if out_vacuum is null then
    select c.* into v_control from async.control c;
    perform async.delete_settled_sessions();
    if v_state.pass_began is null
      and in_now >= coalesce(v_control.last_heavy_maintenance, '-infinity') + v_control.heavy_maintenance_sleep then
      v_state.pass_began := in_now;
      v_state.after := 0;
      v_state.young_rows := 0;
    end if;
    if v_state.pass_began is not null then
      v_step := async.delete_history(v_state.after, in_now - v_control.task_keep_duration, v_state.rows);
      perform async.delete_attempts(v_state.after, v_step.out_after);
      perform async.delete_results(v_state.after, v_step.out_after);
      v_state.after := v_step.out_after;
      v_state.writes := v_state.writes + v_step.out_deleted;
      v_state.young_rows := case when v_step.out_young then v_state.young_rows + v_state.rows else 0 end;
      v_state.rows := async.next_step_rows(v_state.rows, clock_timestamp() - in_now);
      if v_state.after is null or v_state.young_rows >= c_young_rows_at_end then
        -- Written at the end, so that a successor repeats an interrupted pass.
        update async.control set last_heavy_maintenance = v_state.pass_began;
        v_state.pass_began := null;
      end if;
    end if;
    if in_now >= coalesce(v_control.last_light_maintenance, '-infinity') + v_control.light_maintenance_sleep then
      delete from async.server_log l
      where l.server_log = any (array(
        select o.server_log from async.server_log o
        where o.happened < in_now - v_control.task_keep_duration
        order by o.happened, o.server_log
        limit c_log_lines_per_step));
      get diagnostics v_lines = row_count;
      -- Only a deletion is noted: an idle server writes nothing.
      if v_lines between 1 and c_log_lines_per_step - 1 then
        update async.control set last_light_maintenance = in_now;
      end if;
    end if;
  end if;
  out_more := v_state.pass_began is not null or v_lines = c_log_lines_per_step;
  perform set_config('pgasync.upkeep', v_state::text, false);
end
$function$;
