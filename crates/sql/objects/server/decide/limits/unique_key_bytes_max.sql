-- Purpose: the limit on the length of a unique key, in bytes. With the name of the target it fits an
--   entry of an index.
-- Returns: int.
-- Raises: nothing.
-- Locks: none.
create or replace function async.unique_key_bytes_max() returns int
language sql immutable parallel safe as $function$
  select 1024
$function$;
