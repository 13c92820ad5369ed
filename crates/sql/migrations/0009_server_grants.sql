-- Targets that lead to the server database itself.

-- Written by the leader when it registers a session with a target.
create table async.target_at_self (
  target text primary key,
  -- The one under which the target was seen there: another one says nothing.
  connection_string text not null,
  noticed timestamptz not null default clock_timestamp()
);

alter table async.session add column at_self bool not null default false;

-- Routines run as the owner.
do $routines$
declare
  v_role name;
begin
  for v_role in
    select r.rolname
    from pg_catalog.pg_proc p
    cross join lateral pg_catalog.aclexplode(p.proacl) a
    join pg_catalog.pg_roles r on r.oid = a.grantee
    where p.pronamespace = 'async'::regnamespace and p.proname = 'push_routine' and a.grantee <> p.proowner
    order by r.rolname
  loop
    raise notice 'the role % can no longer register routines, which run as the owner', quote_ident(v_role);
    execute format('revoke execute on function async.push_routine(async.routine_type_t, text) from %I', v_role);
  end loop;
end
$routines$;

-- Functions whose arguments or results differ now.
drop function if exists
  async.prepare_push(async.task_push_t[], async.task_run_type_t),
  async.prepare_restart(bigint),
  async.restart_now(bigint),
  async.apply_configuration(jsonb),
  async.lead_mark(bigint, bigint[], int[], bigint[]),
  async.lead_register(bigint, async.registration_t[]);
