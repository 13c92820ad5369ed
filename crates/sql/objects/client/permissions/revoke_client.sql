-- Purpose: revokes what async.grant_client granted.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges.
create or replace function async.revoke_client(role name) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.change_privileges($1, 'client', false)
$function$;
