-- Purpose: the names of which times of a schedule fire later.
-- Returns: the names.
-- Raises: nothing. Locks: none.
create or replace function async.schedule_catch_ups() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select '{none,last,all}'::text[]
$function$;
