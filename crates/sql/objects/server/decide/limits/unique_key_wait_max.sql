-- Purpose: the time that a push waits for another transaction that holds one of its unique keys, if the
--   caller has set no lock_timeout.
-- Returns: a value for lock_timeout.
-- Raises: nothing.
-- Locks: none.
create or replace function async.unique_key_wait_max() returns text
language sql immutable parallel safe as $function$
  select '10s'
$function$;
