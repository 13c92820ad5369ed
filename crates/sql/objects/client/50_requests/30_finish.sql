-- Purpose: ask that unfinished tasks end with a status. See the other finish.
-- Returns: nothing, without waiting.
-- Raises:  as the other finish.
-- Locks:   none that others wait for.
create or replace function async.finish(
  _task_ids bigint[],
  _status async.finish_status_t,
  _error_message text) returns void
language sql
as $function$
  -- No search_path is set: see the other finish.
  select async.finish(_task_ids, _status, _error_message, null::interval)
$function$;
