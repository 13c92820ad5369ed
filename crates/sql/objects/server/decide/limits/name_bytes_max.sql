-- Purpose: the limit on the length of the name of a target or a pool, and of the source of a push.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.name_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 255
$function$;
