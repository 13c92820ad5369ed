-- Purpose: the limit on the length of a query. A leader keeps the text in memory during its launch.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.query_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 16777216
$function$;
