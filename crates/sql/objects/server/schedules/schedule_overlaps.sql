-- Purpose: the names of what a time of a schedule does while a task of it is unfinished.
-- Returns: the names.
-- Raises: nothing. Locks: none.
create or replace function async.schedule_overlaps() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select '{skip,buffer_one,buffer_all,cancel_other,allow_all}'::text[]
$function$;
