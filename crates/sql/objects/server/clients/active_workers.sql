-- Purpose: how many workers have a task, as the leader published it within the last second.
-- Returns: it.
-- Raises:  nothing. Locks: none.
create or replace function async.active_workers() returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select count(*) from async.worker w where w.task_id is not null
$function$;
