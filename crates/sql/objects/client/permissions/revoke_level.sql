-- Purpose: revokes one level of a role: all its privileges in the schema, except those that the other
--   level gives.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the rows of the role in async.role_grant.
create or replace function async.revoke_level(in_role text, in_level text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(in_role, 'admin', false);
  delete from async.role_grant g using pg_roles r
  where r.rolname = in_role and g.grantee = r.oid and g.level = in_level;
  perform async.change_privileges(in_role, g.level, true)
  from async.role_grant g
  join pg_roles r on r.oid = g.grantee
  where r.rolname = in_role;
end
$function$;
