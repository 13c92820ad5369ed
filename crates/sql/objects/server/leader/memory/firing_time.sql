-- Purpose: when the leader has to fire schedules next, as async.note_next_firing noted it.
-- Returns: timestamptz; null when there is none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.firing_time() returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return to_timestamp(nullif(current_setting('pgasync.fires', true), '')::float8);
end
$function$;
