-- Purpose: the roles whose privileges a role has: itself, and those of which it is a member.
-- Returns: their names.
-- Raises: 42704 for an unknown role.
-- Locks: none.
create or replace function async.roles_of(in_role name) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select array(select r.rolname::text from pg_roles r where pg_has_role(in_role, r.oid, 'usage') order by r.rolname)
$function$;
