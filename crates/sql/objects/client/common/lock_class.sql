-- Purpose: first key of every advisory lock of ours. Second keys: 1 the leader, 2 held while a
--   leader sleeps, 3 configure.
-- Returns: a constant.
-- Raises: nothing. Locks: none.
create or replace function async.lock_class() returns int
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select 1346851657
$function$;
