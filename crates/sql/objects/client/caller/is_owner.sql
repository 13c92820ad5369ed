-- Purpose: whether a role has the privileges of the owner of the schema.
-- Returns: bool.
-- Raises: 42704 for an unknown role.
-- Locks: none.
create or replace function async.is_owner(in_role name) returns bool
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select pg_has_role(in_role, n.nspowner, 'usage') from pg_namespace n where n.nspname = 'async'
$function$;
