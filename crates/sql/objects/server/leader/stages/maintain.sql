-- Purpose: deletes old history and log lines in bounded steps, and starts the vacuum of the queue.
--   A CALL that never returns reports no statistics, so autovacuum does not see the writes of the
--   leader.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.maintain(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_marks_max constant int := 50000;
  v_state record;
  v_recorded constant int := coalesce(nullif(current_setting('pgasync.recorded', true), ''), '0');
  v_step record;
begin
  if v_recorded > 0 then
    update pg_temp.leader_state set writes = writes + v_recorded, marks = marks + v_recorded;
    perform set_config('pgasync.recorded', '', false);
  end if;
  select l.* into v_state from pg_temp.leader_state l;
  v_step := async.lead_maintain(in_now, v_state.history_after, v_state.writes);
  if v_step.out_rows > 0 then
    update pg_temp.leader_state set history_after = v_step.out_after, writes = writes + v_step.out_rows;
  end if;
  if async.is_due('recounted', (select c.light_maintenance_sleep from async.control c), in_now) then
    perform async.recount_pools();
    delete from pg_temp.leader_backoff p where p.until < in_now - interval '5 minutes';
  end if;
  if v_state.marks > c_marks_max then
    perform async.rotate_marks();
  end if;
  if v_step.out_vacuum and in_now > v_state.vacuum_at then
    perform async.start_vacuum();
  end if;
end
$function$;
