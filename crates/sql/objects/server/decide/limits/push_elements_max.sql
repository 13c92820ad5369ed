-- Purpose: the limit on the elements of one push.
-- Returns: a number of elements.
-- Raises: nothing.
-- Locks: none.
create or replace function async.push_elements_max()
returns int language sql immutable parallel safe as $function$
  select 1000000
$function$;
