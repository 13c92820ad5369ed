-- Purpose: let a role push tasks, read them (without connection strings), finish, cancel, defer,
--   restart and pull them. For the owner of the schema.
-- Returns: nothing.
-- Raises: PA080 when there is no such role.
-- Locks: as async.change_privileges.
create or replace function async.grant_client(role name) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.change_privileges($1, 'client', true)
$function$;
