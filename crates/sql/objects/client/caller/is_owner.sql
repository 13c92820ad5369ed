-- Purpose: whether a role has the privileges of the owner of the schema.
-- Returns: it; null for an unknown role.
-- Raises: nothing. Locks: none.
create or replace function async.is_owner(in_role name) returns bool
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select pg_has_role(r.oid, n.nspowner, 'usage')
  from pg_roles r
  cross join pg_namespace n
  where r.rolname = in_role and n.nspname = 'async'
$function$;
