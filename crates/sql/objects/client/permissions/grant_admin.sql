-- Purpose: lets a role do what a client may do at every target but the server itself, configure,
--   set the server, pause (update async.control), write to the log, and read the log and the views.
--   Connection strings stay unreadable. Routines, SELF and the address of the server stay with the
--   owner. For the owner of the schema.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the row of the role in async.role_grant.
create or replace function async.grant_admin(_role text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(_role, 'admin', true);
  perform async.set_grant(_role, 'admin', row('{*}', false)::async.scope_t);
end
$function$;
