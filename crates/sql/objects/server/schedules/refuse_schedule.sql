-- Purpose: raises the error that refuses the times of a schedule.
-- Returns: nothing; it always raises.
-- Raises: PA0A0.
-- Locks: none.
create or replace function async.refuse_schedule(in_when text, in_problem text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception 'schedule "%": %', in_when, in_problem
    using errcode = 'PA0A0',
          hint = 'Write five or six fields ([second] minute hour day month weekday), @daily, or "every 30 seconds".';
end
$function$;
