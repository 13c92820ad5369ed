-- Purpose: lets a role push, restart and pull tasks at targets; and read, finish, cancel and defer
--   any task. Connection strings stay unreadable. A second call replaces the targets. For the owner
--   of the schema.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist, PA081 for a target that is null or empty. A warning
--   (PA083) for a target that is not configured.
-- Locks: as async.change_privileges; the row of the role in async.role_grant.
create or replace function async.grant_client(_role text, _targets text[] default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(_role, 'client', true);
  perform async.set_grant(_role, 'client', async.grantable_scope(_targets));
end
$function$;
