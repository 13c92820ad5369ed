-- Purpose: writes a line to server_log and raises nothing. A DEBUG line is written only while
--   control.debug_log is set. Passwords in connection strings are masked, and control characters are
--   escaped. While the log is locked, lines are dropped.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.log_quiet(in_level text, in_message text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_level = 'DEBUG' and not (select c.debug_log from async.control c) then
    return;
  end if;
  insert into async.server_log (level, message)
  values (in_level, async.visible_text(coalesce(async.mask_text(in_message), '')));
exception when lock_not_available then
  null;
end
$function$;
