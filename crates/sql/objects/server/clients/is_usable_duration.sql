-- Purpose: whether a timestamp can hold the time that is this duration from now.
-- Returns: false for a negative duration and for a finite one above 10000 years; null for null.
-- Raises: nothing. Locks: none.
create or replace function async.is_usable_duration(in_duration interval) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_duration >= '0'::interval and (in_duration <= '10000 years'::interval or not isfinite(in_duration))
$function$;
