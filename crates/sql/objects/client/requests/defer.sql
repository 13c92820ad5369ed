-- Purpose: ask that unfinished tasks go back to the queue, not to be run before a while has passed.
-- Returns: nothing, without waiting.
-- Raises:  as finish.
-- Locks:   none that others wait for.
create or replace function async.defer(
  _task_ids bigint[],
  _duration interval) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, 'DEFERRED'::async.finish_status_t, null::text, _duration)
$function$;
