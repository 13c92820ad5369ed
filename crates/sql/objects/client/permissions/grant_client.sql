-- Purpose: let a role push tasks to targets, restart and pull them there; and read (without
--   connection strings), finish, cancel and defer any task. For the owner of the schema. A second
--   call replaces the targets of the first.
-- Returns: nothing.
-- Raises: PA080 when there is no such role, PA081 for a target that is null or empty. A warning
--   (PA083) for one that is not configured.
-- Locks: as async.change_privileges; the role's row of async.role_grant.
create or replace function async.grant_client(_role text, _targets text[] default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(_role, 'client', true);
  perform async.set_grant(_role, 'client', async.grantable_scope(_targets));
end
$function$;
