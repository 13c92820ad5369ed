-- Purpose: the time at which a call of async.get_tasks stops waiting.
-- Returns: the end of in_timeout, which is 30 seconds for null and at most one minute.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pull_until(in_timeout interval)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return clock_timestamp() + least(coalesce(in_timeout, '30 seconds'), '1 minute');
end
$function$;
