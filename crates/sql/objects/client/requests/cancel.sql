-- Purpose: requests that unfinished tasks be canceled. Any client may cancel any task.
-- Returns: nothing. It does not wait.
-- Raises: as async.finish.
-- Locks: none that others wait for.
create or replace function async.cancel(
  _task_ids bigint[],
  _error_message text default 'manual cancel') returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, 'CANCELED'::async.finish_status_t, _error_message, null::interval)
$function$;
