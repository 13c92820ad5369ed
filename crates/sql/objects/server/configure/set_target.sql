-- Purpose: adds a target, or changes the given settings of one, and revives it if it is retired. The
--   settings are the keys of an element of targets in async.configure. Other targets stay as they are.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060, PA084, as async.configure; the path begins with targets[0].
-- Locks: as async.configure.
create or replace function async.set_target(_target text, _settings jsonb default '{}') returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_part_as(c.caller, c.ticket, 'targets', _target, _settings) from async.caller c;
end
$function$;
