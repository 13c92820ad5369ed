-- Purpose: the longest task_data of a task, as the table stores it.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.task_data_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 16777216
$function$;
