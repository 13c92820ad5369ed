-- Purpose: whether an orchestrator of either engine leads in this database now.
-- Returns: bool.
-- Raises: nothing. Locks: none.
create or replace function async.leader_exists() returns bool
language sql security definer
set search_path = pg_catalog, pg_temp
as $function$
  select async.leader_pid() is not null
$function$;
