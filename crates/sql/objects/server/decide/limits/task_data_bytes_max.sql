-- Purpose: the limit on the size of task_data, as the table stores it.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.task_data_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 16777216
$function$;
