-- Purpose: finds the schemas that must not be on the search path of code that runs as the owner:
--   those in which PUBLIC or a client may create objects. Postgres prefers a function or an operator
--   there to one of pg_catalog if its argument types match better.
-- Returns: their names, in the given order; an empty array if there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.untrusted_schemas(in_schemas text[]) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(array_agg(s.name order by s.position), '{}')
  from unnest(in_schemas) with ordinality as s(name, position)
  join pg_namespace n on n.nspname = s.name
  where exists (
      select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
      where a.grantee = 0 and a.privilege_type = 'CREATE')
    or exists (
      select
      from pg_proc p
      cross join lateral aclexplode(p.proacl) a
      where p.pronamespace = 'async'::regnamespace
        and p.proname in ('push_tasks', 'configure')
        and a.grantee not in (0, p.proowner)
        -- A member of the owner has all privileges of the owner already.
        and not pg_has_role(a.grantee, p.proowner, 'usage')
        and has_schema_privilege(a.grantee, n.oid, 'create'))
$function$;
