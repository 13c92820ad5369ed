-- Purpose: revokes all privileges of a role on the schema and the objects in it.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the catalog rows of the objects on which the role has privileges.
create or replace function async.revoke_privileges(in_role text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_object text;
begin
  for v_object in
    select distinct o.object
    from (
      select 'schema async' as object, n.nspacl as acl from pg_namespace n where n.nspname = 'async'
      union all
      select format('%s %s', case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass), c.relacl
      from pg_class c
      where c.relnamespace = 'async'::regnamespace and c.relkind in ('r', 'v', 'm', 'S')
      union all
      -- What is revoked on a table is revoked on its columns too.
      select format('table %s', c.oid::regclass), a.attacl
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'async'::regnamespace and c.relkind in ('r', 'v', 'm')
      union all
      select format('routine %s', p.oid::regprocedure), p.proacl from pg_proc p where p.pronamespace = 'async'::regnamespace
      union all
      select format('type %s', t.oid::regtype), t.typacl
      from pg_type t
      where t.typnamespace = 'async'::regnamespace and t.typacl is not null
    ) o
    cross join lateral aclexplode(o.acl) a
    join pg_roles r on r.oid = a.grantee
    where r.rolname = in_role
    order by o.object
  loop
    execute format('revoke all on %s from %I', v_object, in_role);
  end loop;
end
$function$;
