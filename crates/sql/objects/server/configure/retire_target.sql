-- Purpose: retires a target: it refuses new tasks, finishes those that it has, and keeps its history.
--   Other targets stay as they are.
-- Returns: nothing.
-- Raises: PA060 for a target that does not exist, and for the server itself.
-- Locks: as async.configure.
create or replace function async.retire_target(_target text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  if not exists (select from async.target t where t.target = _target) then
    perform async.refuse_configuration('targets', format('there is no target %L', _target));
  end if;
  perform async.change_part_as(c.caller, c.ticket, 'targets', _target, '{"retired": true}') from async.caller c;
end
$function$;
