-- Purpose: the number of workers that run a task, as published within the last second.
-- Returns: the number.
-- Raises: nothing. Locks: none.
create or replace function async.active_workers() returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select count(*) from async.worker w where w.task_id is not null
$function$;
