-- Purpose: take back what async.grant_admin gave. What async.grant_client gave stays.
-- Returns: nothing.
-- Raises:  PA080 when there is no such role.
-- Locks:   as async.change_privileges; the role's rows of async.role_grant.
create or replace function async.revoke_admin(_role text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.revoke_level($1, 'admin')
$function$;
