-- Purpose: ends the pause of a schedule. The times during the pause have passed. It runs as the caller, whose role
--   async.caller proves to async.change_schedule_as.
-- Returns: its next time.
-- Raises: as async.change_schedule_as.
-- Locks: as async.change_schedule_as.
create or replace function async.resume_schedule(_name text) returns timestamptz
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select async.change_schedule_as(c.caller, c.ticket, _name, 'resume') from async.caller c);
end
$function$;
