-- Purpose: pauses a schedule. Its tasks go on. It runs as the caller, whose role
--   async.caller proves to async.change_schedule_as.
-- Returns: nothing.
-- Raises: as async.change_schedule_as.
-- Locks: as async.change_schedule_as.
create or replace function async.pause_schedule(_name text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_schedule_as(c.caller, c.ticket, _name, 'pause') from async.caller c;
end
$function$;
