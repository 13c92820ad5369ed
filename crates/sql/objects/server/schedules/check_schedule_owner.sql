-- Purpose: checks whether a schedule of this name may be replaced or removed by a role, with a call or
--   with async.configure.
-- Returns: nothing.
-- Raises: PA0A2.
-- Locks: none.
create or replace function async.check_schedule_owner(
  in_path text, in_old async.schedule, in_owner oid, in_configured bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_old.configured and not in_configured then
    raise exception '%: async.configure has made this schedule', in_path
      using errcode = 'PA0A2', hint = 'Change the configuration, or use another name.';
  elsif in_configured and not in_old.configured then
    raise exception '%: the role % has made this schedule with async.schedule', in_path, in_old.owner
      using errcode = 'PA0A2', hint = 'Use another name in the configuration, or unschedule it first.';
  elsif not in_configured and in_old.owner <> in_owner then
    raise exception '%: the schedule belongs to the role %', in_path, in_old.owner
      using errcode = 'PA0A2', hint = 'Use another name.';
  end if;
end
$function$;
