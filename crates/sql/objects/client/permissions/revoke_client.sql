-- Purpose: take back what async.grant_client gave. What the role may as an administrator stays.
-- Returns: nothing.
-- Raises:  PA080 when there is no such role.
-- Locks:   as async.change_privileges; the role's rows of async.role_grant.
create or replace function async.revoke_client(_role text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.revoke_level($1, 'client')
$function$;
