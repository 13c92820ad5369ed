-- Who may use which targets.

-- The targets that a role may use.
create type async.scope_t as (
  -- Names; '*' is every target but the server itself.
  targets text[],
  -- Whether the server itself is among them.
  reaches_self bool
);

create table async.role_grant (
  grantee regrole not null,
  level text not null,
  targets text[] not null,
  reaches_self bool not null default false,
  constraint role_grant_key primary key (grantee, level),
  constraint role_grant_level_known check (level in ('client', 'admin'))
);

-- What async.caller proves a caller's role with. Only the owner reads it.
create table async.caller_key (secret bytea not null);
create unique index caller_key_one_row on async.caller_key ((true));

alter table async.task
  add column pushed_by text,
  add column may_reach_self bool;

do $key$
begin
  if to_regprocedure('pg_catalog.gen_random_uuid()') is not null then
    execute 'insert into async.caller_key select pg_catalog.sha256(pg_catalog.convert_to(
      pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, ''UTF8''))';
  else
    -- Postgres 11 and 12 have no strong random numbers in SQL.
    insert into async.caller_key
    select pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat_ws('/',
      random(), clock_timestamp(), pg_backend_pid(), random(), txid_current(), pg_postmaster_start_time(), random(),
      (select string_agg(d::text, '/') from pg_stat_database d),
      (select string_agg(b::text, '/') from pg_stat_bgwriter b),
      (select string_agg(s::text, '/') from pg_stat_all_tables s),
      (select string_agg(a::text, '/') from pg_stat_activity a),
      clock_timestamp(), random()), 'UTF8'));
  end if;
end
$key$;

-- Roles that were clients or administrators keep every target but the server itself.
do $grants$
declare
  v_role record;
begin
  for v_role in
    select r.oid, r.rolname, bool_or(p.proname = 'configure') as is_admin
    from pg_catalog.pg_proc p
    cross join lateral pg_catalog.aclexplode(p.proacl) a
    join pg_catalog.pg_roles r on r.oid = a.grantee
    where p.pronamespace = 'async'::regnamespace
      and p.proname in ('push_tasks', 'configure')
      and a.grantee <> p.proowner
    group by r.oid, r.rolname
    order by r.rolname
  loop
    insert into async.role_grant (grantee, level, targets)
    values (v_role.oid::regrole, case when v_role.is_admin then 'admin' else 'client' end, '{*}');
    raise notice 'the role % can no longer push to SELF; to allow it again: select async.grant_client(%, ''{*,SELF}'')',
      quote_ident(v_role.rolname), quote_literal(v_role.rolname);
  end loop;
end
$grants$;

-- Functions whose arguments differ now.
drop function if exists
  async.grant_client(name),
  async.grant_admin(name),
  async.revoke_client(name),
  async.revoke_admin(name),
  async.change_privileges(name, text, bool),
  async.forward_push(async.task_push_t[], async.task_run_type_t, text),
  async.forward_get_tasks(text, int, interval),
  async.set_server(text);
