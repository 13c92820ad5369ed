-- Purpose: logs the error of a part of a cycle, for each part at most once in ten seconds.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.note_failure(in_part text, in_error text, in_code text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.is_due('logged_' || in_part, '10 seconds', clock_timestamp()) then
    perform async.log_quiet('ERROR', format('stage %s: %s (%s)', in_part, in_error, in_code));
  end if;
exception when assert_failure or others then
  null;
end
$function$;
