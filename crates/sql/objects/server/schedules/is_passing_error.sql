-- Purpose: whether the error of a firing may pass by itself: a lock, a deadlock, no memory or disk
--   space, an operator who intervenes, an error of the system.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_passing_error(in_sqlstate text) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_sqlstate = '55P03' or left(in_sqlstate, 2) in ('40', '53', '57', '58')
$function$;
