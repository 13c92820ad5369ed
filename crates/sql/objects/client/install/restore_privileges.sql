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

  -- What was revoked by hand (drop owned by) stays revoked.
  delete from async.role_grant g
  where not exists (
    select
    from pg_proc p
    cross join lateral aclexplode(p.proacl) a
    where p.pronamespace = 'async'::regnamespace
      and p.proname = case g.level when 'admin' then 'configure' else 'push_tasks' end
      and a.grantee = g.grantee);
  perform async.change_privileges(r.rolname, g.level, true)
  from async.role_grant g
  join pg_roles r on r.oid = g.grantee
  order by r.rolname, g.level;
end
$function$;
