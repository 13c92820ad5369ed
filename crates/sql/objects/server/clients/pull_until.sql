-- Purpose: how long a call of get_tasks waits.
-- Returns: a time: in half a minute for null, and in a minute at most.
-- Raises:  nothing.
-- Locks:   none.
create or replace function async.pull_until(in_timeout interval)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return clock_timestamp() + least(coalesce(in_timeout, '30 seconds'), '1 minute');
end
$function$;
