-- Purpose: the first key of all advisory locks of pgasync. Second keys: 1 is held by the leader, 2
--   by a leader that sleeps, 3 by the watchdog of the SQL engine, 4 by async.configure.
-- Returns: a constant.
-- Raises: nothing. Locks: none.
create or replace function async.lock_class() returns int
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select 1346851657
$function$;
