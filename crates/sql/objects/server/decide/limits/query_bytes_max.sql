-- Purpose: the longest query of a task. A leader holds a text in memory while it is launched.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.query_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 16777216
$function$;
