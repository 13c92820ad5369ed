-- Purpose: whether a time that long from now can be written down.
-- Returns: false for negative ones and those that reach beyond what a timestamp holds; null for
--   null.
-- Raises: nothing. Locks: none.
create or replace function async.is_usable_duration(in_duration interval) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_duration >= '0'::interval and (in_duration <= '10000 years'::interval or not isfinite(in_duration))
$function$;
