-- Purpose: the number of schedules that a role may have.
-- Returns: a number.
-- Raises: nothing. Locks: none.
create or replace function async.schedules_max() returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select 1000
$function$;
