-- Purpose: revokes what async.grant_admin granted, including the privileges of a client.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges.
create or replace function async.revoke_admin(role name) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.change_privileges($1, 'admin', false)
$function$;
