-- Purpose: sets the privileges at the end of the installation of each part. PUBLIC gets none. Roles
--   that were clients or administrators get the privileges for new objects.
-- Returns: nothing.
-- Raises: no error of class PA.
-- Locks: the catalog rows of the objects whose privileges it changes.
create or replace function async.restore_privileges() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_type regtype;
  v_grantee record;
begin
  revoke all on schema async from public;
  revoke all on all tables in schema async from public;
  revoke all on all sequences in schema async from public;
  revoke all on all routines in schema async from public;
  for v_type in
    select t.oid::regtype
    from pg_type t
    where t.typnamespace = 'async'::regnamespace
      and (t.typtype = 'e' or t.oid = 'async.task_push_t'::regtype)
    order by t.oid
  loop
    execute format('revoke all on type %s from public', v_type);
  end loop;

  for v_grantee in
    select r.rolname, bool_or(p.proname = 'configure') as is_admin
    from pg_proc p
    cross join lateral aclexplode(p.proacl) a
    join pg_roles r on r.oid = a.grantee
    where p.pronamespace = 'async'::regnamespace
      and p.proname in ('push_tasks', 'configure')
      and a.grantee <> p.proowner
    group by r.rolname
    order by r.rolname
  loop
    perform async.change_privileges(
      v_grantee.rolname, case when v_grantee.is_admin then 'admin' else 'client' end, true);
  end loop;
end
$function$;
