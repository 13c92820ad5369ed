-- Purpose: in how many pools tasks may wait at once. A leader keeps an account of each.
-- Returns: a number of pools.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pools_max()
returns int language sql immutable parallel safe as $function$
  select 20000
$function$;
