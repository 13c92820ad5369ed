-- Purpose: requests that unfinished tasks return to the queue and do not start before a duration
--   has passed.
-- Returns: nothing. It does not wait.
-- Raises: as async.finish.
-- Locks: none that others wait for.
create or replace function async.defer(
  _task_ids bigint[],
  _duration interval) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, 'DEFERRED'::async.finish_status_t, null::text, _duration)
$function$;
