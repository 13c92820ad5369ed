-- Purpose: take back what async.grant_admin gave; a client's part too.
-- Returns: nothing.
-- Raises:  PA080 when there is no such role.
-- Locks:   as async.change_privileges.
create or replace function async.revoke_admin(role name) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.change_privileges($1, 'admin', false)
$function$;
