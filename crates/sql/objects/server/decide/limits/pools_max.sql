-- Purpose: the limit on the pools in which tasks wait. A leader keeps the state of each in memory.
-- Returns: a number of pools.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pools_max()
returns int language sql immutable parallel safe as $function$
  select 20000
$function$;
