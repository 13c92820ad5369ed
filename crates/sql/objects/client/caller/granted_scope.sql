-- Purpose: the targets that a role was granted. A grant counts for the roles that have the privileges of
--   its grantee, as for EXECUTE.
-- Returns: async.scope_t, without nulls.
-- Raises: nothing.
-- Locks: none.
create or replace function async.granted_scope(in_role name) returns async.scope_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := row('{}', false)::async.scope_t;
  v_grant record;
begin
  for v_grant in
    select g.targets, g.reaches_self
    from async.role_grant g
    where pg_has_role(in_role, g.grantee::oid, 'usage')
  loop
    v_scope.targets := v_scope.targets || v_grant.targets;
    v_scope.reaches_self := v_scope.reaches_self or v_grant.reaches_self;
  end loop;
  return v_scope;
end
$function$;
