-- Purpose: lets a role push tasks, read them, and finish, cancel, defer, restart and pull them.
--   Connection strings stay unreadable. For the owner of the schema.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges.
create or replace function async.grant_client(role name) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.change_privileges($1, 'client', true)
$function$;
