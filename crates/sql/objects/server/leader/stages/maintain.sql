-- Purpose: keeps the upkeep running, and keeps the memory of the leader small and right.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.maintain(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_marks_max constant int := 50000;
  v_recorded constant int := coalesce(nullif(current_setting('pgasync.recorded', true), ''), '0');
begin
  if v_recorded > 0 then
    update pg_temp.leader_state set writes = writes + v_recorded, marks = marks + v_recorded;
    perform set_config('pgasync.recorded', '', false);
  end if;
  if async.is_due('recounted', (select c.light_maintenance_sleep from async.control c), in_now) then
    perform async.recount_pools();
    delete from pg_temp.leader_backoff p where p.until < in_now - interval '5 minutes';
  end if;
  if (select l.marks > c_marks_max from pg_temp.leader_state l) then
    perform async.rotate_marks();
  end if;
  perform async.run_upkeep(in_now);
end
$function$;
