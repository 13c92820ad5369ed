-- Purpose: let a role do what a client may at every target but the server itself, and configure,
--   set the server, pause (update async.control), log, read the log and the views. Connection
--   strings stay unreadable; routines, SELF and how the server is reached stay the owner's. For the
--   owner of the schema.
-- Returns: nothing.
-- Raises: PA080 when there is no such role.
-- Locks: as async.change_privileges; the role's row of async.role_grant.
create or replace function async.grant_admin(_role text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(_role, 'admin', true);
  perform async.set_grant(_role, 'admin', row('{*}', false)::async.scope_t);
end
$function$;
