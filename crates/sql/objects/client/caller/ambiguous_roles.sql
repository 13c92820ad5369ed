-- Purpose: the roles whose names read like session_user as current_user in async.task.pushed_by.
-- Returns: their names.
-- Raises: nothing.
-- Locks: none.
create or replace function async.ambiguous_roles() returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select array(select r.rolname::text from pg_roles r where r.rolname like '% as %')
$function$;
