-- Purpose: fires the schedules that are due (async.fire_schedules), and notes when the next one is.
-- Returns: nothing.
-- Raises: nothing because of a single schedule.
-- Locks: as async.fire_schedules.
create or replace function async.run_schedules(in_now timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.note_next_firing(async.fire_schedules(in_now));
end
$function$;
