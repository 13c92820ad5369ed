-- Purpose: raises the error that refuses an option of a schedule. in_path names the schedule.
-- Returns: nothing; it always raises.
-- Raises: PA0A1.
-- Locks: none.
create or replace function async.refuse_schedule_option(in_path text, in_option text, in_problem text, in_hint text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception '%.%: %', in_path, in_option, in_problem using errcode = 'PA0A1', hint = in_hint;
end
$function$;
