-- Purpose: writes the targets of a role at a level, in place of earlier ones.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the row of the role in async.role_grant.
create or replace function async.set_grant(in_role text, in_level text, in_scope async.scope_t) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  insert into async.role_grant (grantee, level, targets, reaches_self)
  select r.oid::regrole, in_level, in_scope.targets, in_scope.reaches_self
  from pg_roles r
  where r.rolname = in_role
  on conflict (grantee, level)
  do update set targets = excluded.targets, reaches_self = excluded.reaches_self
$function$;
