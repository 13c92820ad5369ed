-- Purpose: changes the given settings of async.control. The others stay as they are.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060, PA084, as async.configure.
-- Locks: as async.configure.
create or replace function async.set_control(_settings jsonb) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.configure(jsonb_build_object('control', _settings));
end
$function$;
