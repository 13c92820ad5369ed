-- Purpose: the first key of the advisory locks of earlier versions. A leader of such a version asks
--   for it when it falls asleep, before it notices that the schema was replaced.
-- Returns: a constant.
-- Raises: nothing. Locks: none.
create or replace function async.lock_class() returns int
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select 1346851657
$function$;
