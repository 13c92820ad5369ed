-- Purpose: revokes what async.grant_admin granted, and privileges in the schema that were granted to the
--   role by hand. What async.grant_client granted stays.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the rows of the role in async.role_grant.
create or replace function async.revoke_admin(_role text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.revoke_level($1, 'admin')
$function$;
