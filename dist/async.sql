-- pgasync 0.1.0: client and common part. Generated from crates/sql; edit the objects there.
-- The search path of the installation, so that no object of another role is found in place of one of pg_catalog. The
-- end of the file restores the search path of the session. ('=' marks a saved path, which may be empty.)
do $begin$
begin
  if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp' then
    perform pg_catalog.set_config('pgasync.installer_path',
      '=' operator(pg_catalog.||) pg_catalog.current_setting('search_path'), false);
    perform pg_catalog.set_config('pgasync.installer_schemas',
      pg_catalog.current_schemas(false)::pg_catalog.text, false);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false);
  end if;
  -- While a statement waits for a lock, later calls of clients wait behind it. A timeout of the session counts.
  if pg_catalog.current_setting('lock_timeout') operator(pg_catalog.=) '0' then
    perform pg_catalog.set_config('pgasync.installer_lock_timeout', '0', false);
    perform pg_catalog.set_config('lock_timeout', '2s', false);
  end if;
end
$begin$;

-- An older file must not replace the objects of a newer schema.
do $refuse_newer$
declare
  v_version text;
  v_unknown text;
begin
  if to_regclass('async.migration') is null then
    return;
  end if;
  select string_agg(m.migration, ', ' order by m.migration) into v_unknown
  from async.migration m
  where m.migration <> all ('{0001_client,0009_client_grants,0014_client_arrivals,0019_client_push_options,0020_client_retries,0022_client_restarts,0026_client_schedules,0027_client_results,0028_client_receipts,0029_client_ended_by,0001_server,0002_watching,0003_events,0004_sessions,0005_lanes,0006_write_transaction,0007_renamed_functions,0008_search_paths,0009_server_grants,0010_limits,0011_election,0012_wake_up,0013_max_sessions,0014_arrivals,0015_results,0016_upkeep,0017_polls,0018_schedules,0019_push_options,0020_retries,0022_restarts,0024_depth_of_claims,0025_limits_on_starts,0026_waiting_deadlines,0026_schedules,0027_results,0028_receipts,0029_ended_by,0029_paused,0030_tail,0032_metrics}');
  select c.version into v_version from async.client_control c;
  if v_unknown is not null
    or string_to_array(substring(v_version from '^[0-9.]+'), '.')::int[] > string_to_array('0.1.0', '.')::int[]
  then
    raise exception 'the schema async is newer (version %) than this installation of pgasync 0.1.0', v_version
      using errcode = 'PA217',
        detail = 'This installation does not know the migrations: ' || coalesce(v_unknown, 'none') || '.',
        hint = 'Use the files or the program of the version of the schema, or of a later one. To go back, restore a dump. '
          'Nothing was changed.';
  end if;
end
$refuse_newer$;


-- Locks what the installation replaces or changes: the views, and if migrations are missing the tables. A client that
-- holds one of them may want another one that is locked here already. So no lock is waited for longer than clients wait
-- until they look for deadlocks: the locks are taken anew, until lock_timeout has passed.
do $lock$
declare
  c_lock_timeout constant text := current_setting('lock_timeout');
  c_until constant timestamptz := clock_timestamp() + c_lock_timeout::interval;
  v_changes bool := false;
  v_relation record;
  v_name text;
begin
  if to_regclass('async.migration') is not null then
    v_changes := exists (
      select from unnest('{0001_client,0009_client_grants,0014_client_arrivals,0019_client_push_options,0020_client_retries,0022_client_restarts,0026_client_schedules,0027_client_results,0028_client_receipts,0029_client_ended_by,0001_server,0002_watching,0003_events,0004_sessions,0005_lanes,0006_write_transaction,0007_renamed_functions,0008_search_paths,0009_server_grants,0010_limits,0011_election,0012_wake_up,0013_max_sessions,0014_arrivals,0015_results,0016_upkeep,0017_polls,0018_schedules,0019_push_options,0020_retries,0022_restarts,0024_depth_of_claims,0025_limits_on_starts,0026_waiting_deadlines,0026_schedules,0027_results,0028_receipts,0029_ended_by,0029_paused,0030_tail,0032_metrics}'::text[]) known where known not in (select m.migration from async.migration m));
  end if;
  loop
    begin
      -- A vacuum that runs by itself gives way to this, and clients do not wait for it.
      for v_relation in
        select c.oid::regclass as name from pg_class c
        where v_changes and c.relnamespace = to_regnamespace('async') and c.relkind = 'r' and pg_has_role(c.relowner, 'usage')
        order by c.oid
      loop
        v_name := v_relation.name::text;
        execute format('lock table %s in share update exclusive mode', v_relation.name);
      end loop;
      -- This releases the locks.
      raise no_data_found;
    exception when no_data_found then
      null;
    end;
    begin
      perform set_config('lock_timeout', '50ms', true);
      for v_relation in
        select c.oid::regclass as name, c.relkind, pg_get_userbyid(c.relowner) as owner
        from pg_class c
        where c.relnamespace = to_regnamespace('async') and pg_has_role(c.relowner, 'usage')
          and (c.relkind = 'v' or c.relkind = 'r' and v_changes or c.relname = 'client_control')
        -- Calls of clients begin with these two. The calls that have begun end while the other locks are taken.
        order by c.relname = 'caller' desc, c.relname = 'client_control' desc, c.relkind, c.oid
      loop
        v_name := v_relation.name::text;
        if v_relation.relkind = 'v' then
          -- This locks the view alone, and not what it reads.
          execute format('alter view %s owner to %I', v_relation.name, v_relation.owner);
        else
          execute format('lock table %s in access exclusive mode', v_relation.name);
        end if;
      end loop;
      exit;
    exception when lock_not_available then
      if clock_timestamp() > c_until then
        raise;
      end if;
    end;
    perform pg_sleep(0.05);
  end loop;
  perform set_config('lock_timeout', c_lock_timeout, true);
exception when lock_not_available then
  raise exception 'the installation cannot replace % while an open transaction uses it', v_name
    using errcode = 'lock_not_available',
      hint = 'Run it again when the transactions that pg_stat_activity shows (xact_start) have ended. '
        'To wait for longer, set lock_timeout in its session. Nothing was changed.';
end
$lock$;
-- Prerequisites of the client part. Each error has a hint with the remedy.
do $guard$
begin
  if current_setting('server_version_num')::int < 110000 then
    raise exception 'pgasync needs Postgres 11 or later, this server is %', current_setting('server_version')
      using errcode = 'feature_not_supported';
  end if;
  if not exists (select from pg_catalog.pg_extension where extname = 'dblink') then
    begin
      -- Where the installer's own search path would have put it.
      execute format('create extension dblink schema %I', coalesce((
        select s.name
        from unnest(nullif(current_setting('pgasync.installer_schemas', true), '')::text[])
          with ordinality as s(name, position)
        where has_schema_privilege(s.name, 'create')
        order by s.position
        limit 1), 'public'));
    exception
      when insufficient_privilege then
        raise exception 'pgasync needs the extension dblink in this database, and % may not create it',
          current_user
          using errcode = 'insufficient_privilege',
                hint = 'Ask a superuser to run: create extension dblink';
      when undefined_file or feature_not_supported then
        raise exception 'pgasync needs the extension dblink, which this server does not have'
          using errcode = 'feature_not_supported',
                hint = 'Install Postgres'' contrib modules (Debian: postgresql-contrib), then try again';
    end;
  end if;
  if not exists (select from pg_catalog.pg_namespace where nspname = 'async') then
    create schema async;
  elsif not pg_catalog.pg_has_role(
      (select nspowner from pg_catalog.pg_namespace where nspname = 'async'), 'usage') then
    raise exception 'the schema async belongs to another role, % cannot install pgasync into it', current_user
      using errcode = 'insufficient_privilege',
            hint = 'Run this as the owner of the schema async';
  end if;
end
$guard$;

-- conversion
do $conversion$
declare
  v_server constant bool := to_regclass('async.control') is not null;
begin
  if to_regclass('async.client_control') is null or to_regclass('async.migration') is not null then
    return;
  end if;

  -- check_form
  execute $step$
-- Raises unless types and tables have the known form, which users may have extended by columns at the end.
do $check_form$
declare
  v_table record;
  v_type record;
  v_extension name;
begin
  select e.extname into v_extension
  from pg_depend d
  join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_class'::regclass and d.objid = 'async.client_control'::regclass and d.deptype = 'e';
  if found then
    raise exception 'the schema async belongs to the extension %, so pgasync cannot convert it', quote_ident(v_extension)
      using errcode = 'PA219',
        hint = 'Keep it under another name, and install beside it: see "From the library with the same schema" in '
          'docs/moving-over.md. Nothing was changed.';
  end if;

  for v_type in
    select e.name, e.labels, coalesce(f.labels, 'missing') as found
    from (values
      ('finish_status_t', 'FINISHED FAILED CANCELED PAUSED TIMED_OUT YIELDED DOA DEFERRED', true),
      ('task_run_type_t', 'EXECUTE DOA EMPTY EXECUTE_NOASYNC', true),
      ('task_execution_state_t', 'READY RUNNING YIELDED FINISHED', false),
      ('routine_type_t', 'STARTUP LOOP', false)) as e(name, labels, of_client)
    left join lateral (
      select string_agg(l.enumlabel, ' ' order by l.enumsortorder) as labels
      from pg_type t
      join pg_enum l on l.enumtypid = t.oid
      where t.typnamespace = 'async'::regnamespace and t.typname = e.name
    ) f on true
    where (e.of_client or to_regclass('async.control') is not null) and f.labels is distinct from e.labels
    order by e.name
  loop
    raise exception 'the schema async is not the form of the library that pgasync converts: its type async.% is %, not %',
        v_type.name, v_type.found, v_type.labels
      using errcode = 'PA219',
        hint = 'Upgrade the library to its last version first; or keep the schema under another name, and install '
          'beside it (docs/moving-over.md). Nothing was changed.';
  end loop;

  for v_table in
    select e.name, e.columns, coalesce(f.columns, 'missing') as found
    from (values
      ('client_control', true, 'client_only boolean, connection_string text, version text'),
      ('task_push_t', true, 'task_data jsonb, target text, priority integer, query text, concurrency_pool text, '
        'manual_timeout interval, track_yielded boolean'),
      ('task', false, 'task_id bigint, target text, priority integer, entered timestamp with time zone, '
        'consumed timestamp with time zone, processed timestamp with time zone, yielded timestamp with time zone, '
        'finish_status async.finish_status_t, source text, query text, failed boolean, processing_error text, '
        'asynchronous_finish boolean, times_up timestamp with time zone, task_data jsonb, concurrency_pool text, '
        'manual_timeout interval, tracked boolean, track_yielded boolean, eligible_when timestamp with time zone'),
      ('target', false, 'target text, max_concurrency integer, connection_string text, asynchronous_finish boolean, '
        'default_timeout interval, concurrency_track_yielded boolean'),
      ('concurrency_pool', false, 'concurrency_pool text, max_workers integer'),
      ('control', false, 'enabled boolean, workers integer, idle_sleep double precision, '
        'heavy_maintenance_sleep interval, task_keep_duration interval, default_timeout interval, '
        'advisory_mutex_id integer, self_target text, self_connection_string text, self_concurrency integer, '
        'last_heavy_maintenance timestamp with time zone, running_since timestamp with time zone, paused boolean, '
        'pid integer, busy_sleep double precision, light_maintenance_sleep interval, '
        'last_light_maintenance timestamp with time zone, default_concurrency_pool_workers integer, '
        'startup_routines text[], loop_routines text[], version text, debug_log boolean'),
      ('server_log', false, 'server_log bigint, happened timestamp with time zone, level text, message text')
    ) as e(name, of_client, columns)
    left join lateral (
      select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum) as columns
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'async'::regnamespace and c.relname = e.name and c.relkind in ('r', 'c')
    ) f on true
    where (e.of_client or to_regclass('async.control') is not null)
      and (f.columns is null or not starts_with(f.columns || ',', e.columns || ','))
    order by e.name
  loop
    raise exception 'the schema async is not the form of the library that pgasync converts: async.% differs', v_table.name
      using errcode = 'PA219',
        detail = format('It has the columns: %s. These are expected: %s.', v_table.found, v_table.columns),
        hint = 'Upgrade the library to its last version first; or keep the schema under another name, and install '
          'beside it (docs/moving-over.md). Nothing was changed.';
  end loop;
end
$check_form$;
$step$;

  -- check_orchestrator
  if v_server then
  execute $step$
-- Raises while the orchestrator of the library runs, and prevents that one starts until the end of the transaction.
do $check_orchestrator$
declare
  v_mutex bigint;
  v_pid int;
  v_role name;
  v_holder int;
  v_free bool;
begin
  select coalesce(c.advisory_mutex_id, 0), c.pid into v_mutex, v_pid from async.control c;
  v_free := pg_try_advisory_xact_lock(v_mutex);
  -- With _force the library takes the lock 0, whatever advisory_mutex_id is.
  select l.pid, a.usename into v_holder, v_role
  from pg_locks l
  left join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select d.oid from pg_database d where d.datname = current_database())
    and (l.classid::bigint << 32 | l.objid::bigint = v_mutex and l.pid <> pg_backend_pid()
      or l.classid::bigint << 32 | l.objid::bigint in (0, v_mutex) and l.pid = v_pid)
  order by l.pid = v_pid desc, l.pid
  limit 1;
  if found or not v_free then
    raise exception 'the orchestrator of the library runs in the session % of the role %; stop it before the installation',
        coalesce(v_holder::text, 'unknown'), coalesce(quote_ident(v_role), 'unknown')
      using errcode = 'PA218',
        detail = format('The session holds the advisory lock %s (control.advisory_mutex_id).', v_mutex),
        hint = format('Stop the job that calls async.main(), wait until no task runs, then: select pg_terminate_backend(%s). '
          'Nothing was changed.', coalesce(v_holder::text, 'pid'));
  end if;
end
$check_orchestrator$;
$step$;
  end if;

  -- drop_routines
  execute $step$
-- Drops the routines and views of the library. Those of users stay, in this schema too. The only function that
-- indexes and views of users may use, async.task_execution_state, is replaced later, and not dropped.
do $drop_routines$
declare
  v_role name;
  v_views text;
  v_routines text;
  v_detail text;
begin
  for v_role in
    select distinct r.rolname
    from (
      select n.nspacl as acl, n.nspowner as owner from pg_namespace n where n.nspname = 'async'
      union all
      select p.proacl, p.proowner from pg_proc p where p.pronamespace = 'async'::regnamespace
    ) o
    cross join lateral aclexplode(o.acl) a
    join pg_roles r on r.oid = a.grantee
    where a.grantee <> o.owner
    order by r.rolname
  loop
    raise notice 'the role % could use the library; to let it use pgasync: select async.grant_client(%)',
      quote_ident(v_role), quote_literal(v_role);
  end loop;

  select string_agg(c.oid::regclass::text, ', ') into v_views
  from pg_class c
  where c.relnamespace = 'async'::regnamespace and c.relkind = 'v'
    and c.relname = any ('{v_target,v_target_status,v_candidate_task,v_candidate_task_experimental,
      v_task_assigned_worker,v_worker_info,v_concurrency_pool_info,v_server_info}');
  select string_agg(p.oid::regprocedure::text, ', ') into v_routines
  from pg_proc p
  where p.pronamespace = 'async'::regnamespace
    and p.proname = any ('{server,configure,finish,defer,cancel,task,push_tasks,push_task,wait_for_latch,get_tasks,
      restart_task,debug_log,log,initialize_workers,reinitialize_workers,active_workers,candidate_tasks,disconnect,
      wrap_query,set_concurrency_pool_tracker,run_tasks_experimental,run_tasks,get_tasks_internal,check_task_ids,
      check_orchestrator,finish_internal,reap_tasks,query_with_timeout,maintenance,run_internal,do_work,push_routine,
      clear_latches,acquire_mutex,run_routines,cycle,main,interval_pretty,worker_info,tail_once,tail}');
  if v_views is not null then
    execute 'drop view ' || v_views;
  end if;
  if v_routines is not null then
    execute 'drop routine ' || v_routines;
  end if;
  drop table if exists async.worker, async.concurrency_pool_tracker, async.request_latch;
exception when dependent_objects_still_exist then
  get stacked diagnostics v_detail = pg_exception_detail;
  raise exception 'objects of this database depend on a part of the schema async that the installation replaces'
    using errcode = 'PA219', detail = v_detail,
      hint = 'Drop them, install, and create them again. Nothing was changed.';
end
$drop_routines$;
$step$;

  -- client
  execute $step$
-- What a client database has, as the migration 0001_client creates it.
update async.client_control set
  client_only = to_regclass('async.control') is null,
  connection_string = nullif(connection_string, ''),
  version = '0.1.0';
insert into async.client_control (client_only, version)
select to_regclass('async.control') is null, '0.1.0' where not exists (select from async.client_control);
alter table async.client_control
  alter column client_only set default true,
  alter column client_only set not null,
  alter column connection_string drop default,
  alter column version set default '0.1.0',
  alter column version set not null;
drop index if exists async.client_control_expr_idx;
create unique index client_control_one_row on async.client_control ((true));

-- A client database of the library has neither these types nor the table.
do $client$
begin
  if to_regclass('async.control') is null then
    create type async.task_execution_state_t as enum ('READY', 'RUNNING', 'YIELDED', 'FINISHED');
    create type async.routine_type_t as enum ('STARTUP', 'LOOP');
    create table async.task (
      task_id bigserial primary key,
      target text not null,
      priority int not null default 0,
      entered timestamptz not null default clock_timestamp(),
      consumed timestamptz,
      processed timestamptz,
      yielded timestamptz,
      finish_status async.finish_status_t,
      source text,
      query text,
      failed bool,
      processing_error text,
      asynchronous_finish bool,
      times_up timestamptz,
      task_data jsonb,
      concurrency_pool text,
      manual_timeout interval,
      tracked bool,
      track_yielded bool,
      eligible_when timestamptz,
      run int not null default 0,
      constraint task_finish_has_a_status check (processed is null or finish_status is not null),
      constraint task_failed_only_at_the_end check (failed is null or processed is not null)
    );
  end if;
end
$client$;
$step$;

  -- server_tables
  if v_server then
  execute $step$
-- What the migration 0001_server creates beside the tables of the library. See there for the reasons.
create type async.task_event_t as enum (
  'CLAIM',
  'GIVE_BACK',
  'OFFER',
  'WITHDRAW',
  'TAKE',
  'END_OK',
  'END_ERROR',
  'END_UNKNOWN',
  'UNREACHABLE',
  'REQUEST',
  'DEADLINE',
  'RESTART'
);

create index task_ready on async.task
  ((coalesce(concurrency_pool, target)), target, priority, entered, task_id)
  where consumed is null and processed is null and yielded is null
    and eligible_when is null and query is not null;

create index task_pullable on async.task
  ((coalesce(concurrency_pool, target)), target, priority, entered, task_id)
  where consumed is null and processed is null and yielded is null
    and eligible_when is null and query is null and tracked is distinct from true;

create index task_deferred on async.task (eligible_when)
  where eligible_when is not null and processed is null;

create index task_deadline on async.task (times_up)
  where (times_up is not null or yielded is not null) and processed is null;

create index task_entered on async.task using brin (entered) with (pages_per_range = 32);

create table async.concurrency_pool_tracker (
  concurrency_pool text primary key,
  workers int,
  max_workers int
);

create table async.worker (
  slot int primary key,
  name text not null,
  target text,
  task_id bigint,
  running_since timestamptz
);

create table async.request (
  request_id bigserial primary key,
  task_id bigint not null,
  status async.finish_status_t not null,
  error_message text,
  duration interval,
  requested timestamptz not null default clock_timestamp(),
  constraint request_defer_has_a_duration check (status <> 'DEFERRED' or duration is not null)
);
create index request_task on async.request (task_id);

create table async.offer (
  task_id bigint primary key,
  target text not null,
  pool text not null,
  priority int not null,
  entered timestamptz not null,
  timeout interval,
  offered timestamptz not null default clock_timestamp()
);
create index offer_head on async.offer (target, priority, entered, task_id);

create table async.leader (
  server_id text not null,
  system_identifier text not null,
  database_oid oid not null,
  epoch bigint not null default 0,
  engine text,
  generation bigint not null default 0,
  goodbye bool not null default true,
  resign_epoch bigint
);
create unique index leader_one_row on async.leader ((true));

create table async.session (
  session_id bigserial primary key,
  epoch bigint not null,
  slot int not null,
  target text not null,
  connection_string text not null,
  role text not null,
  pid int not null,
  backend_start timestamptz not null,
  registered timestamptz not null default clock_timestamp()
);

create unlogged table async.launch_mark (
  task_id bigint not null,
  run bigint not null,
  session_id bigint not null
);

create sequence async.latch_requested;
create sequence async.latch_served minvalue 0 start 0;
select pg_catalog.setval('async.latch_served', 0, true);
$step$;
  end if;

  -- tasks
  if v_server then
  execute $step$
-- Tasks. No trigger of a user sees these updates. A finished task that has the form of pgasync is not written.
do $tasks$
declare
  v_enable text;
  v_trigger name;
  v_tasks bigint;
  v_first bigint;
begin
  select count(*), min(t.task_id) into v_tasks, v_first from async.task t where t.target is null;
  if v_tasks > 0 then
    raise exception '% tasks have no target, the first is %', v_tasks, v_first
      using errcode = 'PA219',
        hint = 'Set their target (update async.task), or delete them, and install again. Nothing was changed.';
  end if;
  select string_agg(format('alter table async.task enable %s trigger %I',
    case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, t.tgname), ';') into v_enable
  from pg_trigger t
  where t.tgrelid = 'async.task'::regclass and not t.tgisinternal and t.tgenabled <> 'D';
  for v_trigger in
    select t.tgname from pg_trigger t where t.tgrelid = 'async.task'::regclass and not t.tgisinternal order by t.tgname
  loop
    execute format('alter table async.task disable trigger %I', v_trigger);
  end loop;

  alter table async.task drop constraint if exists task_target_fkey;
  drop index if exists async.task_concurrency_pool_priority_entered_idx, async.task_times_up_idx,
    async.task_task_id_idx;

  -- A finish, a cancel or a deferral of a client was a task of the library itself. It becomes a request.
  insert into async.request (task_id, status, error_message, duration, requested)
  select x.id::bigint, (f.task_data ->> 'status')::async.finish_status_t, f.task_data ->> 'error_message',
    (f.task_data ->> 'duration')::interval, coalesce(f.entered, clock_timestamp())
  from async.task f
  cross join lateral jsonb_array_elements_text(f.task_data -> 'task_ids') with ordinality as x(id, place)
  where f.processed is null and f.consumed is null and f.yielded is null and f.query is null
    and f.target = (select c.self_target from async.control c)
    and jsonb_typeof(f.task_data -> 'task_ids') = 'array'
    and (f.task_data ->> 'status' <> 'DEFERRED' or f.task_data ->> 'duration' is not null)
    and exists (
      select from async.task t
      where t.task_id = x.id::bigint and t.processed is null and t.task_id <> f.task_id)
  order by f.priority, f.entered, f.task_id, x.place;
  update async.task f set consumed = clock_timestamp(), processed = clock_timestamp(), failed = false
  where f.processed is null and f.consumed is null and f.yielded is null and f.query is null
    and f.target = (select c.self_target from async.control c)
    and jsonb_typeof(f.task_data -> 'task_ids') = 'array';

  with changed as (
    select b.*, f.failed
    from (
      select
        t.task_id,
        t as row_before,
        coalesce(t.priority, 0) as priority,
        coalesce(t.entered, t.consumed, t.processed, clock_timestamp()) as entered,
        case
          when t.processed is not null then case
            when t.finish_status in ('FINISHED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'DOA') then t.finish_status
            -- The library gave no status to what it presumed failed when it started, and to its own tasks.
            when t.failed then 'FAILED'
            else 'FINISHED'
          end
          when t.yielded is not null then 'YIELDED'
        end::async.finish_status_t as finish_status,
        case
          -- It left the slots of tasks that it presumed failed taken.
          when t.processed is not null then case when t.tracked then false else t.tracked end
          when t.yielded is not null then case when t.tracked and t.track_yielded then true end
          when t.consumed is not null then true
        end as tracked,
        case
          when t.processed is not null then t.times_up
          when t.consumed is not null or t.yielded is not null then coalesce(t.times_up, 'infinity')
          -- Only a deferral keeps a deadline.
          when t.finish_status = 'DEFERRED' then t.times_up
        end as times_up
      from async.task t
    ) b
    cross join lateral (
      select case when (b.row_before).processed is not null then b.finish_status <> 'FINISHED' end as failed
    ) f
    where (b.priority, b.entered, b.finish_status, f.failed, b.tracked, b.times_up) is distinct from
      ((b.row_before).priority, (b.row_before).entered, (b.row_before).finish_status, (b.row_before).failed,
        (b.row_before).tracked, (b.row_before).times_up)
  )
  update async.task t set
    priority = c.priority,
    entered = c.entered,
    finish_status = c.finish_status,
    failed = c.failed,
    tracked = c.tracked,
    times_up = c.times_up
  from changed c
  where t.task_id = c.task_id;

  alter table async.task
    alter column target set not null,
    alter column priority set default 0,
    alter column priority set not null,
    alter column entered set default clock_timestamp(),
    alter column entered set not null,
    add column run int not null default 0,
    add constraint task_finish_has_a_status check (processed is null or finish_status is not null),
    add constraint task_failed_only_at_the_end check (failed is null or processed is not null);
  -- The claim that holds is the first one.
  update async.task t set run = 1
  where t.processed is null and (t.consumed is not null or t.yielded is not null);

  if v_enable is not null then
    execute v_enable;
  end if;
end
$tasks$;
$step$;
  end if;

  -- configuration
  if v_server then
  execute $step$
-- Targets, pools and settings go on.
update async.client_control set client_only = false;

-- A pool with the name of a target was the limit of the target.
update async.target t set max_concurrency = p.max_workers
from async.concurrency_pool p
where p.concurrency_pool = t.target and p.max_workers is distinct from t.max_concurrency;
delete from async.concurrency_pool p where p.concurrency_pool in (select t.target from async.target t);
update async.target t set
  max_concurrency = coalesce(t.max_concurrency, 8),
  asynchronous_finish = coalesce(t.asynchronous_finish, false),
  concurrency_track_yielded = coalesce(t.concurrency_track_yielded, false)
where t.max_concurrency is null or t.asynchronous_finish is null or t.concurrency_track_yielded is null;
alter table async.target
  alter column max_concurrency set default 8,
  alter column max_concurrency set not null,
  alter column asynchronous_finish set default false,
  alter column asynchronous_finish set not null,
  alter column concurrency_track_yielded set default false,
  alter column concurrency_track_yielded set not null,
  add column session_reset bool not null default true,
  add column retired bool not null default false,
  add constraint target_max_concurrency_not_negative check (max_concurrency >= 0);

update async.concurrency_pool p set max_workers = 8 where p.max_workers is null;
alter table async.concurrency_pool
  alter column max_workers set default 8,
  alter column max_workers set not null,
  add column retired bool not null default false,
  add constraint concurrency_pool_max_workers_not_negative check (max_workers >= 0);

insert into async.control default values on conflict do nothing;
update async.control c set
  enabled = coalesce(c.enabled, true),
  workers = coalesce(c.workers, 20),
  idle_sleep = coalesce(c.idle_sleep, 1.0),
  heavy_maintenance_sleep = coalesce(c.heavy_maintenance_sleep, '24 hours'),
  task_keep_duration = coalesce(c.task_keep_duration, '30 days'),
  advisory_mutex_id = coalesce(c.advisory_mutex_id, 0),
  self_target = coalesce(c.self_target, 'async.self'),
  -- The library reached itself by the string of the target.
  self_connection_string = coalesce(
    (select t.connection_string from async.target t where t.target = coalesce(c.self_target, 'async.self')),
    c.self_connection_string, 'host=localhost'),
  self_concurrency = coalesce(
    (select t.max_concurrency from async.target t where t.target = coalesce(c.self_target, 'async.self')),
    c.self_concurrency, 4),
  running_since = null,
  pid = null,
  busy_sleep = coalesce(c.busy_sleep, 0.01),
  light_maintenance_sleep = coalesce(c.light_maintenance_sleep, '5 minutes'),
  default_concurrency_pool_workers = coalesce(c.default_concurrency_pool_workers, 4),
  version = '0.1.0',
  debug_log = coalesce(c.debug_log, false);
drop index if exists async.control_expr_idx;
create unique index control_one_row on async.control ((true));
alter table async.control
  alter column enabled set default true,
  alter column enabled set not null,
  alter column workers set default 20,
  alter column workers set not null,
  alter column idle_sleep set default 1.0,
  alter column idle_sleep set not null,
  alter column heavy_maintenance_sleep set default '24 hours',
  alter column heavy_maintenance_sleep set not null,
  alter column task_keep_duration set default '30 days',
  alter column task_keep_duration set not null,
  alter column default_timeout set default '1 hour',
  alter column advisory_mutex_id set default 0,
  alter column advisory_mutex_id set not null,
  alter column self_target set default 'async.self',
  alter column self_target set not null,
  alter column self_connection_string set default 'host=localhost',
  alter column self_connection_string set not null,
  alter column self_concurrency set default 4,
  alter column self_concurrency set not null,
  alter column busy_sleep set default 0.01,
  alter column busy_sleep set not null,
  alter column light_maintenance_sleep set default '5 minutes',
  alter column light_maintenance_sleep set not null,
  alter column default_concurrency_pool_workers set default 4,
  alter column default_concurrency_pool_workers set not null,
  alter column version set default '0.1.0',
  alter column version set not null,
  alter column debug_log set default false,
  alter column debug_log set not null,
  add column target_patience interval not null default '1 minute',
  add column takeover_grace interval not null default '10 seconds',
  add constraint control_workers_positive check (workers > 0),
  add constraint control_self_concurrency_positive check (self_concurrency > 0);
insert into async.target (target, max_concurrency, connection_string)
select c.self_target, c.self_concurrency, c.self_connection_string
from async.control c
where not exists (select from async.target t where t.target = c.self_target);
update async.target t set connection_string = c.self_connection_string
from async.control c
where t.target = c.self_target and t.connection_string is null;

-- The log.
update async.server_log l set
  happened = coalesce(l.happened, now()), level = coalesce(l.level, 'NOTICE'), message = coalesce(l.message, '')
where l.happened is null or l.level is null or l.message is null;
alter table async.server_log
  alter column happened set default clock_timestamp(),
  alter column happened set not null,
  alter column level set not null,
  alter column message set not null;
drop index if exists async.server_log_happened_idx;
create index server_log_happened on async.server_log (happened);
$step$;
  end if;

  -- note
  execute $step$
-- The tables are those of these migrations now, so the installation runs the later ones.
create table async.migration (
  migration text primary key,
  applied timestamptz not null default clock_timestamp()
);
do $note$
declare
  v_ready bigint;
  v_running bigint;
  v_yielded bigint;
  v_finished bigint;
begin
  insert into async.migration (migration) values ('0001_client');
  if to_regclass('async.control') is null then
    raise notice 'the schema async of the library was converted, as a client database';
    return;
  end if;
  insert into async.migration (migration) values ('0001_server');
  select
    count(*) filter (where t.processed is null and t.consumed is null and t.yielded is null),
    count(*) filter (where t.processed is null and t.consumed is not null and t.yielded is null),
    count(*) filter (where t.processed is null and t.yielded is not null),
    count(*) filter (where t.processed is not null)
  into v_ready, v_running, v_yielded, v_finished
  from async.task t;
  raise notice 'the schema async of the library was converted: % tasks wait, % ran, % have yielded, % are finished',
      v_ready, v_running, v_yielded, v_finished
    using hint = 'The outcome of the tasks with a query that ran when the orchestrator stopped is unknown: the next '
      'leader records it so.';
end
$note$;
$step$;
end
$conversion$;

do $migration_table$
begin
  if to_regclass('async.migration') is null then
    create table async.migration (
      migration text primary key,
      applied timestamptz not null default clock_timestamp()
    );
  end if;
end
$migration_table$;

-- migrations/0001_client.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0001_client') then
    execute $ddl$
-- The part of the contract that a client shares with a server: the types, the task table (on a client it
-- only gives push_tasks its row type) and where the server is.

create type async.finish_status_t as enum (
  'FINISHED', 'FAILED', 'CANCELED', 'PAUSED', 'TIMED_OUT', 'YIELDED', 'DOA', 'DEFERRED'
);

create type async.task_run_type_t as enum ('EXECUTE', 'DOA', 'EMPTY', 'EXECUTE_NOASYNC');

create type async.task_execution_state_t as enum ('READY', 'RUNNING', 'YIELDED', 'FINISHED');

create type async.routine_type_t as enum ('STARTUP', 'LOOP');

-- Clients build it with row(...)::async.task_push_t: exactly these seven, in this order.
create type async.task_push_t as (
  task_data jsonb,
  target text,
  priority int,
  query text,
  concurrency_pool text,
  manual_timeout interval,
  track_yielded bool
);

create table async.client_control (
  client_only bool not null default true,
  connection_string text,
  version text not null default '0.1.0'
);
create unique index client_control_one_row on async.client_control ((true));
insert into async.client_control default values;

-- Queue, state machine and log in one. The phase of a task is derived from processed, yielded and consumed
-- (see async.task_execution_state) and stored nowhere else.
create table async.task (
  task_id bigserial primary key,
  target text not null,
  priority int not null default 0,
  entered timestamptz not null default clock_timestamp(),
  consumed timestamptz,
  processed timestamptz,
  yielded timestamptz,
  finish_status async.finish_status_t,
  source text,
  query text,
  failed bool,
  processing_error text,
  asynchronous_finish bool,
  times_up timestamptz,
  task_data jsonb,
  concurrency_pool text,
  manual_timeout interval,
  tracked bool,
  track_yielded bool,
  eligible_when timestamptz,
  -- Ours from here on. The run grows with every launch and survives a restart: a result names the run it
  -- ends, so a late one never finishes a newer run.
  run int not null default 0,
  constraint task_finish_has_a_status check (processed is null or finish_status is not null),
  constraint task_failed_only_at_the_end check (failed is null or processed is not null)
);
$ddl$;
    insert into async.migration (migration) values ('0001_client');
  end if;
end
$migrate$;

-- migrations/0009_client_grants.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0009_client_grants') then
    execute $ddl$
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
$ddl$;
    insert into async.migration (migration) values ('0009_client_grants');
  end if;
end
$migrate$;

-- migrations/0014_client_arrivals.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0014_client_arrivals') then
    execute $ddl$
-- The transaction that made the task READY. Null for tasks from before this column.
alter table async.task add column arrived bigint;
alter table async.task alter column arrived set default pg_catalog.txid_current();
$ddl$;
    insert into async.migration (migration) values ('0014_client_arrivals');
  end if;
end
$migrate$;

-- migrations/0019_client_push_options.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0019_client_push_options') then
    execute $ddl$
-- The options of async.push. A task without them has nulls.
alter table async.task
  -- The task is not eligible before this time.
  add column run_at timestamptz
    constraint task_run_at_finite check (isfinite(run_at)),
  -- The deadline of the whole task: times_up is never later.
  add column expires_at timestamptz
    constraint task_expires_at_finite check (isfinite(expires_at)),
  -- At most one task with unique_key is unfinished, or waits for its first claim, at each target.
  add column unique_key text,
  add column unique_while text
    constraint task_unique_while_known check (unique_while in ('unfinished', 'waiting')),
  add constraint task_unique_key_says_while check ((unique_key is null) = (unique_while is null));

-- What an element of async.push_many has besides the members of async.task_push_t. A migration may add
-- attributes at the end.
create type async.push_options_t as (
  source text,
  run_at timestamptz,
  expires_at timestamptz,
  unique_key text,
  unique_while text,
  on_conflict text
);
$ddl$;
    insert into async.migration (migration) values ('0019_client_push_options');
  end if;
end
$migrate$;

-- migrations/0020_client_retries.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0020_client_retries') then
    execute $ddl$
-- The retry policy of a task, as its push copied it, and the number of its failed attempts. Both are
-- null without a policy. Such a task has no byte more than before.
alter table async.task add column retry jsonb;
alter table async.task add column attempt int;
-- Not valid: the rows from before have neither, so they need no scan.
alter table async.task
  add constraint task_attempt_of_policy check ((retry is null) = (attempt is null) and attempt >= 0) not valid;

-- The name of the policy; null: that of the target or of control.
alter type async.push_options_t add attribute retry text;
$ddl$;
    insert into async.migration (migration) values ('0020_client_retries');
  end if;
end
$migrate$;

-- migrations/0022_client_restarts.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0022_client_restarts') then
    execute $ddl$
-- A restart takes several tasks.
drop function if exists async.restart_as(name, bytea, bigint, async.scope_t);
$ddl$;
    insert into async.migration (migration) values ('0022_client_restarts');
  end if;
end
$migrate$;

-- migrations/0026_client_schedules.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0026_client_schedules') then
    execute $ddl$
-- The schedule that pushed a task, and the time for which it did.
alter table async.task
  add column schedule text,
  add column scheduled_for timestamptz;
$ddl$;
    insert into async.migration (migration) values ('0026_client_schedules');
  end if;
end
$migrate$;

-- migrations/0027_client_results.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0027_client_results') then
    execute $ddl$
-- The rows of tasks that were pushed with keep_result. keep_result_for is the role that pushed the task
-- and may read its result; a task without the option has null, and no byte more.
alter table async.task add column keep_result_for text;
alter type async.push_options_t add attribute keep_result bool;

-- At most one result for each task: that of the last run that ended it with a success of its query. No
-- foreign key: the upkeep deletes the results of deleted tasks.
create table async.result (
  task_id bigint primary key,
  run int not null,
  -- The rows that the query returned; those that it changed, if it returns none.
  row_count bigint,
  -- An array of the first rows.
  rows jsonb,
  -- Whether further rows, or all of them, are missing.
  truncated bool not null,
  -- The size of rows as text, in UTF-8.
  bytes int,
  -- Why rows is null, or ends early.
  error text,
  constraint result_without_rows_says_why check (rows is not null or error is not null)
);
-- async.may_read_result decides.
alter table async.result enable row level security;

-- They have another argument.
drop function if exists
  async.push(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text, text),
  async.push_each(text, text[], int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text,
    text);
$ddl$;
    insert into async.migration (migration) values ('0027_client_results');
  end if;
end
$migrate$;

-- migrations/0028_client_receipts.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0028_client_receipts') then
    execute $ddl$
-- The query writes a receipt at its target. Null for other tasks.
alter table async.task add column receipt bool;
alter type async.push_options_t add attribute receipt bool;

-- They have another argument.
drop function if exists
  async.push(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text, text, bool),
  async.push_each(text, text[], int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text,
    text, bool);
drop procedure if exists
  async.run(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text, text, bool,
    jsonb);
$ddl$;
    insert into async.migration (migration) values ('0028_client_receipts');
  end if;
end
$migrate$;

-- migrations/0029_client_ended_by.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0029_client_ended_by') then
    execute $ddl$
-- The role whose request ended the task. Null for any other end, and a task without it has no byte more.
alter table async.task add column ended_by text;
$ddl$;
    insert into async.migration (migration) values ('0029_client_ended_by');
  end if;
end
$migrate$;

-- common/lock_class
-- Purpose: the first key of the advisory locks of earlier versions. A leader of such a version asks
--   for it when it falls asleep, before it notices that the schema was replaced.
-- Returns: a constant.
-- Raises: nothing. Locks: none.
create or replace function async.lock_class() returns int
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select 1346851657
$function$;

-- common/client_only
-- Purpose: whether this database is a client database, whose calls are forwarded to its server.
-- Returns: true on a client database, false on a server.
-- Raises: nothing. Locks: none.
create or replace function async.client_only() returns bool
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
-- Not in SQL, whose functions are planned in each call: every call of a client calls it.
begin
  return (select c.client_only from async.client_control c);
end
$function$;

-- common/task_execution_state
-- Purpose: the phase of a task, derived from its row.
-- Returns: READY, RUNNING, YIELDED or FINISHED.
-- Raises: nothing. Locks: none.
create or replace function async.task_execution_state(t async.task) returns async.task_execution_state_t
language sql immutable parallel safe
as $function$
  -- No search_path is set, so that the function can be inlined. It depends on no search_path.
  select case
    when t.processed is not null then 'FINISHED'::async.task_execution_state_t
    when t.yielded is not null then 'YIELDED'::async.task_execution_state_t
    when t.consumed is not null then 'RUNNING'::async.task_execution_state_t
    else 'READY'::async.task_execution_state_t
  end
$function$;

-- conninfo/decode_percent
-- Purpose: decodes the percent-encoding in a part of a connection URI.
-- Returns: the decoded text; null for null.
-- Raises: PA001 for a % without two hexadecimal digits after it, for %00, and for bytes that are
--   not valid in the encoding of the database.
-- Locks: none.
create or replace function async.decode_percent(in_text text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_bytes bytea := '';
  v_part text[];
begin
  if in_text is null or position('%' in in_text) = 0 then
    return in_text;
  end if;
  for v_part in select m.match from regexp_matches(in_text, '%([0-9A-Fa-f]{2})|([^%]+|%)', 'g') as m(match) loop
    if v_part[2] = '%' or v_part[1] = '00' then
      raise exception 'a connection URI holds a percent sign that encodes nothing'
        using errcode = 'PA001',
              hint = 'Write % as %25, and other special characters as % and two hexadecimal digits.';
    end if;
    v_bytes := v_bytes || coalesce(decode(v_part[1], 'hex'), convert_to(v_part[2], getdatabaseencoding()));
  end loop;
  return convert_from(v_bytes, getdatabaseencoding());
exception
  when character_not_in_repertoire or untranslatable_character then
    raise exception 'a connection URI holds encoded bytes that are no text in %', getdatabaseencoding()
      using errcode = 'PA001';
end
$function$;

-- conninfo/parse_conninfo_pairs
-- Purpose: parses a connection string of the form "key = value key = 'quoted value'", as libpq
--   does.
-- Returns: an object of texts. The last value of a repeated key counts.
-- Raises: PA001 when libpq would refuse the form of the string. The error does not contain the
--   string, which may hold a password.
-- Locks: none.
create or replace function async.parse_conninfo_pairs(in_conninfo text) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_rest text := ltrim(in_conninfo, E' \t\r\n\f\v');
  v_result jsonb := '{}';
  v_pair text[];
  v_value text;
begin
  while v_rest <> '' loop
    -- A value is quoted, with \ before a quote or a backslash, or it ends at the next space.
    v_pair := regexp_match(v_rest,
      E'^([A-Za-z_][A-Za-z0-9_]*)\\s*=\\s*(''(?:[^''\\\\]|\\\\.)*''|(?!'')(?:[^\\s\\\\]|\\\\.)*)\\\\?(.*)$');
    if v_pair is null then
      raise exception 'a connection string cannot be read after % of its settings',
          (select count(*) from jsonb_object_keys(v_result))
        using errcode = 'PA001',
              hint = 'Write key=value pairs separated by spaces (values with spaces in single quotes), or a URI '
                     'that starts with postgresql://.';
    end if;
    v_value := v_pair[2];
    if left(v_value, 1) = '''' then
      v_value := substr(v_value, 2, length(v_value) - 2);
    end if;
    v_result := v_result || jsonb_build_object(v_pair[1], regexp_replace(v_value, E'\\\\(.)', E'\\1', 'g'));
    v_rest := ltrim(v_pair[3], E' \t\r\n\f\v');
  end loop;
  return v_result;
end
$function$;

-- conninfo/parse_conninfo_uri
-- Purpose: parses a connection string of the form
--   postgresql://user:password@host:port,host2/dbname?key=value, as libpq does. Several hosts
--   become comma-separated lists under host and port.
-- Returns: an object of texts.
-- Raises: PA001 when libpq would refuse the form of the string. The error does not contain the
--   string, which may hold a password.
-- Locks: none.
create or replace function async.parse_conninfo_uri(in_conninfo text) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_result jsonb := '{}';
  v_uri text[];
  v_host text[];
  v_entry text;
  v_hosts text;
  v_ports text;
  v_pair text[];
begin
  -- 1 user, 2 :password, 3 hosts, 4 dbname, 5 parameters
  v_uri := regexp_match(in_conninfo,
    E'^postgres(?:ql)?://(?:([^:@/]*)(:[^@/]*)?@)?([^/?]*)(?:/([^?]*))?(?:\\?(.*))?$');
  if v_uri is null then
    raise exception 'a connection URI cannot be read'
      using errcode = 'PA001', hint = 'Write postgresql://user:password@host:port/dbname?key=value.';
  end if;
  v_result := jsonb_strip_nulls(jsonb_build_object(
    'user', async.decode_percent(nullif(v_uri[1], '')),
    'password', async.decode_percent(substr(v_uri[2], 2)),
    'dbname', async.decode_percent(nullif(v_uri[4], ''))));

  foreach v_entry in array string_to_array(v_uri[3], ',') loop
    v_host := regexp_match(v_entry, E'^(\\[[^\\]]+\\]|[^:\\[\\]]*)(?::([0-9]*))?$');
    if v_host is null then
      raise exception 'a host in a connection URI cannot be read'
        using errcode = 'PA001', hint = 'Write host or host:port, and an IPv6 address in brackets.';
    end if;
    v_hosts := concat(v_hosts || ',', async.decode_percent(btrim(v_host[1], '[]')));
    v_ports := concat(v_ports || ',', v_host[2]);
  end loop;
  if v_hosts <> '' then
    v_result := v_result || jsonb_build_object('host', v_hosts);
  end if;
  if replace(v_ports, ',', '') <> '' then
    v_result := v_result || jsonb_build_object('port', v_ports);
  end if;

  for v_entry in select p.entry from regexp_split_to_table(v_uri[5], '&') as p(entry) where v_uri[5] <> '' loop
    v_pair := regexp_match(v_entry, '^([^=]+)=([^=]*)$');
    if v_pair is null then
      raise exception 'a parameter in a connection URI cannot be read'
        using errcode = 'PA001', hint = 'Write ?key=value&key=value, special characters percent-encoded.';
    end if;
    v_result := v_result || case
      -- The spelling of JDBC, which libpq accepts too.
      when v_entry = 'ssl=true' then jsonb_build_object('sslmode', 'require')
      else jsonb_build_object(async.decode_percent(v_pair[1]), async.decode_percent(v_pair[2]))
    end;
  end loop;
  return v_result;
end
$function$;

-- conninfo/parse_conninfo
-- Purpose: parses a libpq connection string of either form.
-- Returns: the settings, an object of texts; null for null.
-- Raises: PA001 when libpq would refuse the form of the string.
-- Locks: none.
create or replace function async.parse_conninfo(in_conninfo text) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_conninfo ~ '^postgres(ql)?://' then async.parse_conninfo_uri(in_conninfo)
    else async.parse_conninfo_pairs(in_conninfo)
  end
$function$;

-- conninfo/extend_conninfo
-- Purpose: adds or replaces settings in a connection string for dblink. A JSON null removes a
--   setting. A string without a password gets an empty one, because the libpq of the server would
--   take PGPASSWORD from the environment of the postmaster. Password files are still read. A string
--   with a service gets none, because the service may have a password.
-- Returns: key='value' pairs in the order of the keys, quoted for libpq; null for null.
-- Raises: PA001 when the string cannot be parsed.
-- Locks: none.
create or replace function async.extend_conninfo(in_conninfo text, in_settings jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select case when in_conninfo is not null then coalesce(
    (
      select string_agg(
        format('%s=''%s''', s.key, regexp_replace(s.value, E'([''\\\\])', E'\\\\\\1', 'g')), ' ' order by s.key)
      from (select async.parse_conninfo(in_conninfo) || coalesce(in_settings, '{}') as given) g
      cross join lateral jsonb_each_text(
        case when g.given ? 'service' then '{}'::jsonb else '{"password": ""}'::jsonb end || g.given) s
      where s.value is not null
    ),
    '')
  end
$function$;

-- conninfo/mask_connection_string
-- Purpose: masks the secrets in a connection string of either form. pgasync-core has the same
--   function for the Rust side.
-- Returns: the unchanged string if it has no secret, else its settings as key=value pairs with each
--   secret replaced by ****. A string that cannot be parsed, or in which part of a secret may have
--   been parsed as another setting (an @ behind the user, an unknown key), becomes **** as a whole.
--   In doubt, more is masked than is secret. (SECURITY DEFINER, because views call it as their
--   reader, who may not execute async.parse_conninfo.)
-- Raises: nothing.
-- Locks: none.
create or replace function async.mask_connection_string(in_text text) returns text
language plpgsql immutable security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_secrets constant text[] := '{oauth_client_secret,password,scram_client_key,scram_server_key,sslpassword}';
  -- What libpq knows besides, up to version 18.
  c_shown constant text[] := '{
    application_name,authtype,channel_binding,client_encoding,connect_timeout,dbname,
    fallback_application_name,gssdelegation,gssencmode,gsslib,host,hostaddr,keepalives,
    keepalives_count,keepalives_idle,keepalives_interval,krbsrvname,load_balance_hosts,
    max_protocol_version,min_protocol_version,oauth_client_id,oauth_issuer,oauth_scope,options,
    passfile,port,replication,require_auth,requirepeer,requiressl,service,servicefile,
    ssl_max_protocol_version,ssl_min_protocol_version,sslcert,sslcertmode,sslcompression,sslcrl,
    sslcrldir,sslkey,sslkeylogfile,sslmode,sslnegotiation,sslrootcert,sslsni,target_session_attrs,
    tcp_user_timeout,tty,user}';
  v_settings jsonb;
begin
  begin
    v_settings := async.parse_conninfo(in_text);
  exception when sqlstate 'PA001' then
    return '****';
  end;
  if exists (
      select from jsonb_each_text(v_settings) s
      where s.key <> all (c_secrets || c_shown) or s.value ~ '://[^/]*@')
    or in_text ~ '^postgres(ql)?://'
      and position('@' in regexp_replace(in_text, '^postgres(ql)?://([^:@/]*(:[^@/]*)?@)?', '')) > 0
  then
    return '****';
  end if;
  if not v_settings ?| c_secrets then
    return in_text;
  end if;
  return (
    select string_agg(format('%s=%s', s.key,
      case
        when s.key = any (c_secrets) and s.value <> '' then '****'
        when s.value ~ '^[A-Za-z0-9_./:,%+*@-]+$' then s.value
        else '''' || regexp_replace(s.value, E'([''\\\\])', E'\\\\\\1', 'g') || ''''
      end), ' ' order by s.key collate "C")
    from jsonb_each_text(v_settings) s);
end
$function$;

-- conninfo/mask_text
-- Purpose: masks the secrets in a message, for example of libpq, that may contain connection strings
--   or parts of them. For a text that is a connection string: async.mask_connection_string.
-- Returns: the text with each part that looks like a secret replaced by ****. In doubt, more is
--   masked than is secret.
-- Raises: nothing. Locks: none.
create or replace function async.mask_text(in_text text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select regexp_replace(regexp_replace(regexp_replace(in_text,
    -- user:password@ in a URI, up to the last @
    E'(postgres(?:ql)?://[^\\s:@/]*):.*@', E'\\1:****@', 'gi'),
    -- parameters of a URI, the name in any encoding
    E'([?&](?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key|[^=&\\s]*%[^=&\\s]*)=)[^&]*',
    E'\\1****', 'gi'),
    -- key = value, key = 'quoted \' value'
    E'((?:^|[^?&\\w])(?:password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key)\\s*=\\s*)'
    || E'(?:''(?:[^''\\\\]|\\\\.)*(?:''|\\\\?$)|(?:[^\\s\\\\]|\\\\.)*)',
    E'\\1****', 'gi')
$function$;

-- conninfo/references_secret
-- Purpose: whether the password of a connection string is a reference: ${ENV:PGASYNC_SECRET_...}, a
--   variable in the environment of pgasync run, or ${FILE:...}, a file in its --secrets-dir. Only
--   the Rust engine resolves references.
-- Returns: bool; false for null, and for a string that cannot be parsed. (SECURITY DEFINER, because
--   views call it as their reader, who may not execute async.parse_conninfo.)
-- Raises: nothing.
-- Locks: none.
create or replace function async.references_secret(in_connection_string text) returns bool
language plpgsql immutable security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  -- Without the parser, which is slow, for the strings that have none.
  if position('${' in in_connection_string) > 0 then
    return coalesce(async.parse_conninfo(in_connection_string) ->> 'password'
      ~ E'^\\$\\{(ENV:PGASYNC_SECRET_[A-Za-z0-9_]+|FILE:[A-Za-z0-9_-][A-Za-z0-9_.-]*)\\}$', false);
  end if;
  return false;
exception when sqlstate 'PA001' then
  return false;
end
$function$;

-- conninfo/owner_string_reason
-- Purpose: why only the owner of the schema may write a connection string: it makes the engine read
--   or write something that belongs to the account that the engine runs under (a secret, a file, or
--   a socket, which may identify this account). The role that chooses the host could otherwise send
--   it anywhere.
-- Returns: text; null if an administrator may write the string.
-- Raises: PA001 when the string cannot be parsed.
-- Locks: none.
create or replace function async.owner_string_reason(in_connection_string text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_files constant text[] := '{passfile,service,servicefile,sslcert,sslkey,sslkeylogfile}';
  v_settings constant jsonb := async.parse_conninfo(in_connection_string);
  v_hosts constant text[] := string_to_array(v_settings ->> 'host', ',');
  v_addresses constant text[] := string_to_array(v_settings ->> 'hostaddr', ',');
  v_key text;
begin
  -- The second test has no pattern, so it does not depend on how a pattern is read.
  if async.references_secret(in_connection_string)
    or position('${ENV:' in v_settings ->> 'password') > 0 or position('${FILE:' in v_settings ->> 'password') > 0
  then
    return 'its password is a reference to a secret';
  end if;
  select s.key into v_key
  from jsonb_each_text(v_settings) s
  where s.key = any (c_files) and s.value <> ''
  order by s.key collate "C"
  limit 1;
  if v_key is not null then
    return format('it has %s', v_key);
  end if;
  -- Without a host and an address, libpq takes the socket of the machine.
  if exists (
    select
    from generate_series(1, greatest(cardinality(v_hosts), cardinality(v_addresses), 1)) n
    where coalesce(v_addresses[n], '') = '' and coalesce(v_hosts[n], '') ~ '^([/@]|$)'
  ) then
    return 'it leads to a socket of the machine: it has no host, or a folder as its host';
  end if;
  return null;
end
$function$;

-- conninfo/check_connection_string
-- Purpose: checks a connection string before it is stored.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be parsed, when its password is the mask that views show, for a
--   key that no version of libpq knows, and for a reference to a secret that is malformed or not the
--   password.
-- Locks: none.
create or replace function async.check_connection_string(in_connection_string text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- Those that some version of libpq from 11 to 18 knows.
  c_keys constant text[] := '{
    application_name,authtype,channel_binding,client_encoding,connect_timeout,dbname,
    fallback_application_name,gssdelegation,gssencmode,gsslib,host,hostaddr,keepalives,
    keepalives_count,keepalives_idle,keepalives_interval,krbsrvname,load_balance_hosts,
    max_protocol_version,min_protocol_version,oauth_client_id,oauth_client_secret,oauth_issuer,
    oauth_scope,options,passfile,password,port,replication,require_auth,requirepeer,requiressl,
    scram_client_key,scram_server_key,service,servicefile,ssl_max_protocol_version,
    ssl_min_protocol_version,sslcert,sslcertmode,sslcompression,sslcrl,sslcrldir,sslkey,
    sslkeylogfile,sslmode,sslnegotiation,sslpassword,sslrootcert,sslsni,target_session_attrs,
    tcp_user_timeout,tty,user}';
  v_settings constant jsonb := async.parse_conninfo(in_connection_string);
begin
  if v_settings ->> 'password' = '****' then
    raise exception 'the password of a connection string is the mask that stands for one'
      using errcode = 'PA001', hint = 'Give the password itself.';
  end if;
  if exists (select from jsonb_object_keys(v_settings) as k(key) where k.key <> all (c_keys)) then
    -- The rest of an unquoted password may look like a key, so it is named only where there is none.
    raise exception 'a connection string has a key that libpq does not know%', coalesce((
        select ': ' || string_agg(left(k.key, 63), ', ' order by k.key)
        from jsonb_object_keys(v_settings) as k(key)
        where k.key <> all (c_keys) and not v_settings ? 'password'
        having count(*) > 0), '')
      using errcode = 'PA001', hint = 'docs/connecting.md lists the keys. Put a password with spaces in single quotes.';
  end if;
  if not async.references_secret(in_connection_string)
      and exists (select from jsonb_each_text(v_settings) s where s.value ~ E'\\$\\{(ENV|FILE):')
    or exists (select from jsonb_each_text(v_settings) s where s.key <> 'password' and s.value ~ E'\\$\\{(ENV|FILE):')
  then
    raise exception 'a connection string has a reference that is no password of the form '
        '${ENV:PGASYNC_SECRET_NAME} or ${FILE:name}'
      using errcode = 'PA001', hint = 'A file name has letters, digits, _, - and ., and does not begin with a dot.';
  end if;
end
$function$;

-- server/server_connection
-- Purpose: the connection string for calls to the server. Clients may not execute it, because it
--   contains the password.
-- Returns: the connection string, with a limit on the time of the connection attempt.
-- Raises: PA002 when no server is set.
-- Locks: none.
create or replace function async.server_connection() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_connection_string text;
begin
  select c.connection_string into v_connection_string from async.client_control c;
  if v_connection_string is null then
    raise exception 'this database is a client of a pgasync server, and does not know where its server is'
      using errcode = 'PA002', hint = 'An administrator sets it: select async.server(''host=... dbname=...'')';
  end if;
  return async.extend_conninfo(v_connection_string,
    '{"connect_timeout": "10"}' || async.parse_conninfo(v_connection_string));
end
$function$;

-- server/forward
-- Purpose: runs a query with one text column on the server, which commits it on its own. Clients
--   may not execute it, only the calls that use it. in_query must be built with format and %L only.
-- Returns: the values of the column.
-- Raises: PA002 when no server is set, PA003 when the server cannot be reached, PA005 when it does not
--   have what the query calls, and the errors that the query raises on the server.
-- Locks: none on this database.
create or replace function async.forward(in_query text) returns setof text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_connection text := async.server_connection();
  v_detail text;
begin
  return query select r.result from public.dblink(v_connection, in_query) as r(result text);
exception
  when sqlclient_unable_to_establish_sqlconnection then
    get stacked diagnostics v_detail = pg_exception_detail;
    raise exception 'the pgasync server cannot be reached: %', async.mask_text(v_detail)
      using errcode = 'PA003', hint = 'async.server() shows where this database looks for its server.';
  when sqlstate '2F003' then
    -- dblink lets only a superuser connect without a password.
    raise exception 'the pgasync server cannot be reached: %', sqlerrm
      using errcode = 'PA003', hint = 'An administrator names a password in async.server(...), and lets the server ask for it.';
  when undefined_function or undefined_table or undefined_object then
    -- An object of a user, which a trigger on the server misses, has another name.
    if strpos(sqlerrm, 'async.') = 0 then
      raise;
    end if;
    raise exception 'the pgasync server is older than this client database: %', sqlerrm
      using errcode = 'PA005', hint = 'The owner of the server upgrades it. Nothing was changed.';
end
$function$;

-- server/masked_server
-- Purpose: the connection string of the server, for roles that may not read
--   client_control.connection_string.
-- Returns: the connection string without its password.
-- Raises: nothing. Locks: none.
create or replace function async.masked_server() returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
  select async.mask_connection_string(c.connection_string) from async.client_control c
$function$;

-- caller/caller
-- Purpose: the role that reads it, with a hash that proves to SECURITY DEFINER functions
--   (async.scope_of) that they were called for that role: of the role, the backend, the transaction
--   and a key. The view reads the key as its owner. current_user is the reader's, so a reader gets
--   the hash of its own role only. Operators and functions are qualified, since the path is the
--   caller's when the view is made.
create or replace view async.caller with (security_barrier) as
select
  u.caller,
  pg_catalog.sha256(
    pg_catalog.int4send(pg_catalog.pg_backend_pid())
    operator(pg_catalog.||) pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp())
    operator(pg_catalog.||) pg_catalog.convert_to(u.caller::pg_catalog.text, pg_catalog.getdatabaseencoding())
    operator(pg_catalog.||) (select k.secret from async.caller_key k)) as ticket
from (select current_user::pg_catalog.name as caller) u;

-- caller/is_owner
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

-- caller/granted_scope
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

-- caller/roles_of
-- Purpose: the roles whose privileges a role has: itself, and those of which it is a member.
-- Returns: their names.
-- Raises: 42704 for an unknown role.
-- Locks: none.
create or replace function async.roles_of(in_role name) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select array(select r.rolname::text from pg_roles r where pg_has_role(in_role, r.oid, 'usage') order by r.rolname)
$function$;

-- caller/ambiguous_roles
-- Purpose: the roles whose names read like session_user as current_user in async.task.pushed_by.
-- Returns: their names.
-- Raises: nothing.
-- Locks: none.
create or replace function async.ambiguous_roles() returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select array(select r.rolname::text from pg_roles r where r.rolname like '% as %')
$function$;

-- caller/scope_of
-- Purpose: the targets that a caller may use, of those in in_within (null: any). The caller is the
--   role that read the ticket from async.caller in this transaction. The owner of the schema needs no
--   grant (async.granted_scope).
-- Returns: async.scope_t, without nulls.
-- Raises: 42501 when the ticket is not that of the caller.
-- Locks: none.
create or replace function async.scope_of(in_caller name, in_ticket bytea, in_within async.scope_t)
returns async.scope_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t;
  v_is_owner bool;
begin
  -- The same expression as in async.caller.
  select pg_has_role(in_caller, n.nspowner, 'usage') into v_is_owner
  from async.caller_key k
  cross join pg_namespace n
  where n.nspname = 'async'
    and in_ticket = sha256(int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
      || convert_to(in_caller::text, getdatabaseencoding()) || k.secret);
  if not found then
    raise exception 'this call was not made for the role %', coalesce(quote_ident(in_caller), 'null')
      using errcode = 'insufficient_privilege', hint = 'Use the functions that docs/using.md names.';
  end if;
  if v_is_owner then
    return coalesce(in_within, row('{*}', true)::async.scope_t);
  end if;
  v_scope := async.granted_scope(in_caller);
  if in_within is null then
    return v_scope;
  end if;
  if '*' = any (in_within.targets) then
    null;
  elsif '*' = any (v_scope.targets) then
    v_scope.targets := in_within.targets;
  else
    v_scope.targets := array(
      select u.target from unnest(v_scope.targets) as u(target) where u.target = any (in_within.targets)
      order by u.target);
  end if;
  v_scope.targets := coalesce(v_scope.targets, '{}');
  v_scope.reaches_self := v_scope.reaches_self and coalesce(in_within.reaches_self, false);
  return v_scope;
end
$function$;

-- server/set_server_as
-- Purpose: sets the connection string of the server, for the role that read in_ticket from
--   async.caller. async.server(text) calls it. For administrators.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be used: it cannot be parsed, or its password is a mask or a
--   reference; PA084 when only the owner may write it; insufficient_privilege for a ticket that is
--   not that of the caller.
-- Locks: the row of client_control, until the end of the transaction.
create or replace function async.set_server_as(in_caller name, in_ticket bytea, in_connection_string text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_reason text;
begin
  perform async.scope_of(in_caller, in_ticket, null);
  perform async.check_connection_string(in_connection_string);
  if async.references_secret(in_connection_string) then
    raise exception 'the password of the server must be no reference to a secret'
      using errcode = 'PA001', hint = 'References are for targets, which pgasync run reaches.';
  end if;
  v_reason := async.owner_string_reason(in_connection_string);
  if v_reason is not null and not async.is_owner(in_caller) then
    raise exception 'the connection string of the server: %, so only the owner of the schema async may write it', v_reason
      using errcode = 'PA084', hint = 'Nothing was changed. Name a host, or set it as the owner.';
  end if;
  update async.client_control set connection_string = in_connection_string;
end
$function$;

-- server/server
-- Purpose: reads the connection string of the server of this client database. With an argument,
--   sets it first.
-- Returns: the connection string, without its password unless the caller may read the column.
-- Raises: PA001 when the new string cannot be parsed, PA004 when the caller may not set it,
--   PA084 when only the owner may write this string.
-- Locks: the row of client_control, when it is set.
create or replace function async.server(_new_connection_string text default null) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if _new_connection_string is not null then
    if not has_function_privilege('async.set_server_as(name, bytea, text)', 'execute') then
      raise exception '% may not set where the server is', current_user
        using errcode = 'PA004', hint = 'The owner of the schema async grants it: select async.grant_admin(...)';
    end if;
    perform async.set_server_as(c.caller, c.ticket, _new_connection_string) from async.caller c;
  end if;
  if has_column_privilege('async.client_control', 'connection_string', 'select') then
    return (select c.connection_string from async.client_control c);
  end if;
  return async.masked_server();
end
$function$;

-- caller/refuse_target
-- Purpose: refuses a target to a role. in_prefix begins the message, and in_why ends it.
-- Returns: never.
-- Raises: PA082.
-- Locks: none.
create or replace function async.refuse_target(in_prefix text, in_caller name, in_target text, in_why text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception '%', format('%s%I may not use the target %L%s', in_prefix, in_caller, in_target, in_why)
    using errcode = 'PA082', hint = 'The owner of the schema async grants targets: select async.grant_client(...)';
end
$function$;

-- caller/check_forwarded_target
-- Purpose: checks whether a caller of a client database may name a target. The server checks the
--   target again, with the same scope, because only the server knows which name is its own.
-- Returns: nothing.
-- Raises: PA082. in_prefix begins the message.
-- Locks: none.
create or replace function async.check_forwarded_target(
  in_prefix text, in_caller name, in_scope async.scope_t, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if (in_target = any (in_scope.targets)
    or case when upper(in_target) = 'SELF' then in_scope.reaches_self else '*' = any (in_scope.targets) end) is false
  then
    perform async.refuse_target(in_prefix, in_caller, in_target, '');
  end if;
end
$function$;

-- server/configure_as
-- Purpose: async.configure for the role that read in_ticket from async.caller. in_may_be_owner:
--   whether the settings of the owner may be changed if that role is the owner.
-- Returns: nothing.
-- Raises: as async.configure; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.configure.
create or replace function async.configure_as(
  in_caller name, in_ticket bytea, in_configuration jsonb, in_may_be_owner bool) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope constant async.scope_t := async.scope_of(in_caller, in_ticket, null);
  v_as_owner bool;
begin
  v_as_owner := coalesce(in_may_be_owner, false) and async.is_owner(in_caller);
  if async.client_only() then
    perform async.forward(
      format('select async.configure_forwarded(%L::jsonb, %L::bool)::text', in_configuration, v_as_owner));
  elsif async.is_owner(in_caller) and not v_as_owner and jsonb_typeof(in_configuration -> 'schedules') <> 'null' then
    -- They would fire as the role that the client database connects as.
    raise exception 'schedules: an administrator of a client database cannot make schedules of the owner of the server'
      using errcode = 'PA084', hint = 'Leave them out, and configure them on the server.';
  else
    perform async.apply_configuration(in_caller, v_scope, in_configuration, v_as_owner);
  end if;
end
$function$;

-- server/configure
-- Purpose: changes settings, targets and pools as one document says, completely or not at all. On a
--   client database it changes those of the server. It runs as the caller, whose role async.caller
--   proves to async.configure_as.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060 for an invalid value, PA084 for a setting that only the owner may change, with its
--   path in the document.
-- Locks: a table on which other calls of async.configure wait, and the rows that it
--   changes, until the end of the transaction.
create or replace function async.configure(_configuration jsonb) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.configure_as(c.caller, c.ticket, _configuration, true) from async.caller c;
end
$function$;

-- server/configure_forwarded
-- Purpose: async.configure as a client database calls it on its server. Settings of the owner may
--   be changed if the caller owns the schema there, and the role that the client database connects
--   as owns it here.
-- Returns: nothing.
-- Raises: as async.configure.
-- Locks: as async.configure.
create or replace function async.configure_forwarded(in_configuration jsonb, in_may_be_owner bool) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.configure_as(c.caller, c.ticket, in_configuration, in_may_be_owner) from async.caller c;
end
$function$;

-- push/task
-- Purpose: builds one element for async.push_tasks, with named arguments.
-- Returns: the element.
-- Raises: nothing. Locks: none.
create or replace function async.task(
  _query text,
  target text,
  task_data jsonb default null,
  priority int default 0,
  concurrency_pool text default null,
  manual_timeout interval default null,
  track_yielded bool default null) returns async.task_push_t
language sql immutable parallel safe
as $function$
  -- No search_path is set, so that the function can be inlined. It depends on no search_path.
  select row(task_data, target, priority, _query, concurrency_pool, manual_timeout, track_yielded)::async.task_push_t
$function$;

-- push/forward_push
-- Purpose: async.push_tasks on a client database, within the targets of the caller.
-- Returns: the rows that the server inserted, in the order of the array.
-- Raises: PA082; the errors of async.forward and of async.push_tasks on the server.
-- Locks: none on this database.
create or replace function async.forward_push(
  in_caller name,
  in_scope async.scope_t,
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text) returns setof async.task
language plpgsql
set search_path = pg_catalog, pg_temp
-- This form of an interval does not depend on the settings of the server.
set intervalstyle = 'iso_8601'
as $function$
begin
  perform async.check_forwarded_target(format('task %s: ', u.place), in_caller, in_scope, u.target)
  from (
    select e.target, min(e.place) as place
    from unnest(in_tasks) with ordinality
      as e(task_data, target, priority, query, concurrency_pool, manual_timeout, track_yielded, place)
    group by e.target
  ) u
  order by u.place;
  return query
    select t.*
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text
         from async.push_forwarded(%L::async.task_push_t[], %L::async.task_run_type_t, %L, %L::async.scope_t) t',
        in_tasks, in_run_type, in_source, in_scope)) as f(result),
      jsonb_populate_record(null::async.task, f.result::jsonb) t
    -- As in async.push_tasks.
    where true or exists (select from async.task);
end
$function$;

-- push/push_as
-- Purpose: async.push_tasks for the role that read in_ticket from async.caller, at targets within
--   in_within (null: any).
-- Returns: one row for each element, in the order of the array.
-- Raises: as async.push_tasks; PA01C for a source that is too long; insufficient_privilege for a
--   ticket that is not that of the caller.
-- Locks: as async.wake_leader. It does not wait. (The search
--   path is control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path.
--   Every name and operator is qualified.)
create or replace function async.push_as(
  in_caller name,
  in_ticket bytea,
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text,
  in_within async.scope_t) returns setof async.task
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return query
      select f.* from async.forward_push(in_caller, v_scope, in_tasks, in_run_type, in_source) f
      -- As in async.push_tasks.
      where true or exists (select from async.task);
    return;
  elsif pg_catalog.octet_length(in_source) operator(pg_catalog.>) async.name_bytes_max() then
    perform async.refuse_source(in_source);
  end if;
  return query
    insert into async.task (target, priority, entered, consumed, processed, finish_status, source, query, failed,
        asynchronous_finish, task_data, concurrency_pool, manual_timeout, track_yielded, pushed_by, may_reach_self,
        retry, attempt)
    select p.out_target, p.out_priority, p.out_entered, p.out_processed, p.out_processed, p.out_finish_status,
      in_source, p.out_query, p.out_failed, p.out_asynchronous_finish, p.out_task_data, p.out_concurrency_pool,
      p.out_manual_timeout, p.out_track_yielded, p.out_pushed_by, p.out_may_reach_self,
      p.out_retry, case when p.out_retry is not null then 0 end
    from async.prepare_push(in_caller, v_scope, in_tasks, in_run_type) p
    order by p.out_position
    returning *;
  perform async.wake_leader();
end
$function$;

-- push/push_tasks
-- Purpose: pushes tasks in the transaction of the caller, and wakes the leader if it sleeps. On a
--   client database the server pushes the tasks and commits on its own. It runs as the caller, whose
--   role async.caller proves to async.push_as.
-- Returns: one row for each element, in the order of the array. The ids grow in the same order.
-- Raises: PA010 to PA01B for an element that cannot be accepted, PA01C for a source that is too
--   long, PA082 for a target that the caller was not granted. Then nothing is pushed.
-- Locks: as async.wake_leader. It does not wait.
create or replace function async.push_tasks(
  _tasks async.task_push_t[],
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default null) returns setof async.task
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, _tasks, _run_type, _source, null) p
    -- Always true, and not executed. It makes a session prepare the statement anew when the table
    -- gets a column. The result of a function alone does not.
    where true or exists (select from async.task);
end
$function$;

-- push/push_forwarded
-- Purpose: async.push_tasks as a client database calls it on its server, at targets within those
--   that it granted to its own caller. The grants of the role that the client database connects as
--   count as well.
-- Returns: as async.push_tasks.
-- Raises: as async.push_tasks.
-- Locks: as async.push_tasks.
create or replace function async.push_forwarded(
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text,
  in_within async.scope_t) returns setof async.task
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, in_tasks, in_run_type, in_source, in_within) p
    -- As in async.push_tasks.
    where true or exists (select from async.task);
end
$function$;

-- push/push_task
-- Purpose: pushes one task.
-- Returns: the id of the task.
-- Raises: as async.push_tasks.
-- Locks: as async.push_tasks.
create or replace function async.push_task(
  _task async.task_push_t,
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default 'manual push') returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
-- Not in SQL, whose functions are planned in each call. As async.push_tasks, without its result.
begin
  return (
    select t.task_id
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, array[_task], _run_type, _source, null) t);
end
$function$;

-- push/forward_push_many
-- Purpose: async.push_many on a client database, within the targets of the caller. Times without a
--   zone count in the zone and the style of this session.
-- Returns: as async.push_many.
-- Raises: PA082; the errors of async.forward and of async.push_many on the server.
-- Locks: none on this database.
create or replace function async.forward_push_many(in_caller name, in_scope async.scope_t, in_tasks jsonb)
returns table (task_id bigint, duplicate bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.check_forwarded_target(format('task %s: ', u.place), in_caller, in_scope, u.target)
  from (
    select e.value ->> 'target' as target, min(e.place) as place
    from jsonb_array_elements(case when jsonb_typeof(in_tasks) = 'array' then in_tasks else '[]' end)
      with ordinality as e(value, place)
    where jsonb_typeof(e.value -> 'target') = 'string'
    group by 1
  ) u
  order by u.place;
  return query
    select (f.result::jsonb ->> 'task_id')::bigint, (f.result::jsonb ->> 'duplicate')::bool
    from async.forward(format(
      'select pg_catalog.to_jsonb(p)::text from async.push_many_forwarded(%L::jsonb, %L::async.scope_t, %L, %L) p',
      in_tasks, in_scope, current_setting('timezone'), current_setting('datestyle'))) as f(result);
end
$function$;

-- push/push_many_as
-- Purpose: async.push_many for the role that read in_ticket from async.caller, at targets within
--   in_within (null: any).
-- Returns: as async.push_many.
-- Raises: as async.push_many; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.push_many.
create or replace function async.push_many_as(
  in_caller name,
  in_ticket bytea,
  in_tasks jsonb,
  in_within async.scope_t) returns table (task_id bigint, duplicate bool)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return query select f.task_id, f.duplicate from async.forward_push_many(in_caller, v_scope, in_tasks) f;
  else
    return query select p.task_id, p.duplicate from async.push_many_now(in_caller, v_scope, in_tasks) p;
  end if;
end
$function$;

-- push/push_many
-- Purpose: pushes tasks in the transaction of the caller: an array of objects whose keys are the
--   options of async.push, with query and target. On a client database the server pushes the tasks and
--   commits on its own. It runs as the caller, whose role async.caller proves to async.push_many_as.
-- Returns: one row for each element, in the order of the array: the id of the new task, or that of the
--   task that has the unique key already (duplicate). The id is null if a trigger kept the row out.
-- Raises: PA01D for a document, an option or a value that is invalid, PA01E for times and PA01F for a
--   unique key that cannot be, PA01G when the key is taken and on_conflict is error, PA01H when
--   another transaction holds a key for too long, and the errors of async.push_tasks. Each names the
--   element, counted from 1. Then nothing is pushed.
-- Locks: as async.wake_leader. A push of unique keys waits for the transactions that push the same
--   keys, up to lock_timeout, or for 10 seconds if that is 0.
create or replace function async.push_many(_tasks jsonb)
returns table (task_id bigint, duplicate bool)
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select p.task_id, p.duplicate
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, _tasks, null) p;
end
$function$;

-- push/push_many_forwarded
-- Purpose: async.push_many as a client database calls it on its server, at targets within those that
--   it granted to its own caller, with the time zone and the style of dates of its session. The grants
--   of the role that the client database connects as count as well.
-- Returns: as async.push_many.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push_many_forwarded(
  in_tasks jsonb,
  in_within async.scope_t,
  in_time_zone text,
  in_date_style text) returns table (task_id bigint, duplicate bool)
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('timezone', in_time_zone, true), set_config('datestyle', in_date_style, true);
  return query
    select p.task_id, p.duplicate
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, in_tasks, in_within) p;
end
$function$;

-- push/push
-- Purpose: pushes one task with options, as async.push_many does.
-- Returns: the id of the task; that of the present task if it has the unique key already.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push(
  _query text,
  _target text,
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  run_at timestamptz default null,
  expires_at timestamptz default null,
  unique_key text default null,
  unique_while text default null,
  on_conflict text default null,
  retry text default null,
  keep_result bool default null,
  receipt bool default null) returns bigint
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select p.task_id
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, jsonb_build_array(jsonb_build_object(
      'query', _query, 'target', _target, 'priority', priority, 'concurrency_pool', concurrency_pool,
      'timeout', timeout, 'task_data', task_data, 'track_yielded', track_yielded, 'source', source,
      'run_at', run_at, 'expires_at', expires_at, 'unique_key', unique_key, 'unique_while', unique_while,
      'on_conflict', on_conflict, 'retry', retry, 'keep_result', keep_result, 'receipt', receipt)), null) p);
end
$function$;

-- push/push_each
-- Purpose: pushes one query to each of some targets, with the same options.
-- Returns: the ids of the tasks, in the order of the targets, as async.push returns them.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push_each(
  _query text,
  _targets text[],
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  run_at timestamptz default null,
  expires_at timestamptz default null,
  unique_key text default null,
  unique_while text default null,
  on_conflict text default null,
  retry text default null,
  keep_result bool default null,
  receipt bool default null) returns setof bigint
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_element constant jsonb := jsonb_build_object(
    'query', _query, 'priority', priority, 'concurrency_pool', concurrency_pool, 'timeout', timeout,
    'task_data', task_data, 'track_yielded', track_yielded, 'source', source, 'run_at', run_at,
    'expires_at', expires_at, 'unique_key', unique_key, 'unique_while', unique_while, 'on_conflict', on_conflict,
    'retry', retry, 'keep_result', keep_result, 'receipt', receipt);
begin
  return query
    select p.task_id
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, (
      select coalesce(jsonb_agg(v_element || jsonb_build_object('target', t.target) order by t.place), '[]')
      from unnest(_targets) with ordinality as t(target, place)), null) p;
end
$function$;

-- push/targets_as
-- Purpose: async.targets for the role that read in_ticket from async.caller, within in_within (null:
--   any).
-- Returns: as async.targets.
-- Raises: as async.targets; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: none.
create or replace function async.targets_as(in_caller name, in_ticket bytea, in_tag text, in_within async.scope_t)
returns text[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return (
      select array(select jsonb_array_elements_text(f.result::jsonb))
      from async.forward(format('select pg_catalog.to_jsonb(async.targets_forwarded(%L, %L::async.scope_t))::text',
        in_tag, v_scope)) as f(result));
  end if;
  return array(
    select t.target from async.target t
    where in_tag = any (t.tags) and not t.retired and async.may_use_target(v_scope, t.target)
    order by t.target collate "C");
end
$function$;

-- push/targets
-- Purpose: the targets with a tag, without retired ones and those that the caller may not use.
-- Returns: their names, in order; an empty array if there are none.
-- Raises: the errors of async.forward on a client database.
-- Locks: none.
create or replace function async.targets(_tag text) returns text[]
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select async.targets_as(c.caller, c.ticket, _tag, null) from async.caller c);
end
$function$;

-- push/targets_forwarded
-- Purpose: async.targets as a client database calls it on its server, within the targets that it
--   granted to its own caller.
-- Returns: as async.targets.
-- Raises: as async.targets.
-- Locks: none.
create or replace function async.targets_forwarded(in_tag text, in_within async.scope_t) returns text[]
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select async.targets_as(c.caller, c.ticket, in_tag, in_within) from async.caller c);
end
$function$;

-- requests/forward_finish
-- Purpose: async.finish on a client database.
-- Returns: nothing. The warning of the server is raised here.
-- Raises: the errors of async.forward and of async.request_finish on the server.
-- Locks: none on this database.
create or replace function async.forward_finish(
  in_task_ids bigint[],
  in_status async.finish_status_t,
  in_error_message text,
  in_duration interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = 'iso_8601'
as $function$
declare
  v_warning text;
begin
  select f.result into v_warning
  from async.forward(format(
    'select async.request_finish(%L::bigint[], %L::async.finish_status_t, %L, %L::interval)',
    in_task_ids, in_status, in_error_message, in_duration)) as f(result);
  if v_warning is not null then
    raise warning '%', v_warning using errcode = 'PA025';
  end if;
end
$function$;

-- requests/finish
-- Purpose: requests that unfinished tasks end with a status, or return to the queue (DEFERRED after
--   a duration, PAUSED). The leader applies the request after the commit of the caller. A call in
--   the leader session takes effect in its own transaction.
-- Returns: nothing. It does not wait. A warning (PA025) names ids that do not exist or are
--   finished.
-- Raises: PA020 for a null status, PA021 for DEFERRED without a duration, PA022 for a negative
--   duration or one above 10000 years. In the leader session, as async.finish_internal.
-- Locks: none that others wait for.
create or replace function async.finish(
  _task_ids bigint[],
  _status async.finish_status_t,
  _error_message text,
  _duration interval) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_warning text;
begin
  if async.client_only() then
    perform async.forward_finish(_task_ids, _status, _error_message, _duration);
  elsif async.is_leader() then
    perform async.finish_internal(_task_ids, _status, 'async.finish', _error_message, _duration);
  else
    v_warning := async.request_finish(_task_ids, _status, _error_message, _duration);
    if v_warning is not null then
      raise warning '%', v_warning using errcode = 'PA025';
    end if;
  end if;
end
$function$;

-- Purpose: requests that unfinished tasks end with a status. See the other async.finish.
-- Returns: nothing. It does not wait.
-- Raises: as the other async.finish.
-- Locks: none that others wait for.
create or replace function async.finish(
  _task_ids bigint[],
  _status async.finish_status_t,
  _error_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, _status, _error_message, null::interval)
$function$;

-- requests/cancel
-- Purpose: requests that unfinished tasks be canceled. Any client may cancel any task.
-- Returns: nothing. It does not wait.
-- Raises: as async.finish.
-- Locks: none that others wait for.
create or replace function async.cancel(
  _task_ids bigint[],
  _error_message text default 'manual cancel') returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, 'CANCELED'::async.finish_status_t, _error_message, null::interval)
$function$;

-- requests/defer
-- Purpose: requests that unfinished tasks return to the queue and do not start before a duration
--   has passed.
-- Returns: nothing. It does not wait.
-- Raises: as async.finish.
-- Locks: none that others wait for.
create or replace function async.defer(
  _task_ids bigint[],
  _duration interval) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, 'DEFERRED'::async.finish_status_t, null::text, _duration)
$function$;

-- requests/restart_as
-- Purpose: async.restart for the role that read in_ticket from async.caller, for tasks at targets
--   within in_within (null: any).
-- Returns: nothing.
-- Raises: as async.restart; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.restart.
create or replace function async.restart_as(
  in_caller name, in_ticket bytea, in_task_ids bigint[], in_within async.scope_t) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if not async.client_only() then
    perform async.restart_now(in_caller, v_scope, in_task_ids);
  elsif cardinality(in_task_ids) = 1 then
    -- Older servers have only this function.
    perform async.forward(format(
      'select async.restart_forwarded(%L, %L::async.scope_t)::text', in_task_ids[1], v_scope));
  else
    perform async.forward(format(
      'select async.restart_many_forwarded(%L::bigint[], %L::async.scope_t)::text', in_task_ids, v_scope));
  end if;
end
$function$;

-- requests/restart_task
-- Purpose: resets a finished task to READY and clears its results, at once: the leader does not
--   hold a finished task. The run number stays, so that a late result of an earlier run changes
--   nothing. It runs as the caller, whose role async.caller proves to async.restart_as.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired,
--   PA035 while another task has its unique key, PA082 for a task at a target that the caller was not
--   granted.
-- Locks: the row of the task, until the end of the transaction.
create or replace function async.restart_task(_task_id bigint) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, array[_task_id], null) from async.caller c;
end
$function$;

-- requests/restart_forwarded
-- Purpose: async.restart_task as a client database calls it on its server, for a task at a target
--   within those that it granted to its own caller.
-- Returns: nothing.
-- Raises: as async.restart_task.
-- Locks: as async.restart_task.
create or replace function async.restart_forwarded(in_task_id bigint, in_within async.scope_t) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, array[in_task_id], in_within) from async.caller c;
end
$function$;

-- requests/restart
-- Purpose: async.restart_task for several tasks: all of them, or none.
-- Returns: nothing.
-- Raises: as async.restart_task, with the first task that cannot be restarted.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.restart(_task_ids bigint[]) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, _task_ids, null) from async.caller c;
end
$function$;

-- requests/restart_many_forwarded
-- Purpose: async.restart as a client database calls it on its server, for tasks at targets within those
--   that it granted to its own caller.
-- Returns: as async.restart.
-- Raises: as async.restart.
-- Locks: as async.restart.
create or replace function async.restart_many_forwarded(in_task_ids bigint[], in_within async.scope_t) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, in_task_ids, in_within) from async.caller c;
end
$function$;

-- pull/forward_get_tasks
-- Purpose: async.get_tasks on a client database, within the targets of the caller.
-- Returns: the rows that the server returned, in its order.
-- Raises: PA082; the errors of async.forward and of async.get_tasks on the server.
-- Locks: none on this database.
create or replace function async.forward_get_tasks(
  in_caller name,
  in_scope async.scope_t,
  in_target text,
  in_limit int,
  in_timeout interval,
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = 'iso_8601'
as $function$
begin
  perform async.check_forwarded_target('', in_caller, in_scope, in_target);
  return query
    select t.task_id, t.priority, t.times_up, t.task_data
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text
         from async.get_tasks_forwarded(%L, %L::int, %L::interval, %L::async.scope_t) t',
        in_target, in_limit, in_timeout, in_scope)) as f(result),
      jsonb_to_record(f.result::jsonb)
        as t(task_id bigint, priority int, times_up timestamptz, task_data jsonb);
end
$function$;

-- pull/pull_as
-- Purpose: async.get_tasks for the role that read in_ticket from async.caller, at a target within
--   in_within (null: any).
-- Returns: as async.get_tasks.
-- Raises: as async.get_tasks; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.get_tasks.
create or replace function async.pull_as(
  in_caller name, in_ticket bytea, in_target text, in_limit int, in_timeout interval, in_within async.scope_t)
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return query
      select f.task_id, f.priority, f.times_up, f.task_data
      from async.forward_get_tasks(in_caller, v_scope, in_target, in_limit, in_timeout) f;
    return;
  end if;
  perform async.check_pull(in_caller, v_scope, in_target);
  return query
    select t.out_task_id, t.out_priority, t.out_times_up, t.out_task_data
    from async.pull_tasks(in_target, in_limit, in_timeout) t;
end
$function$;

-- pull/get_tasks
-- Purpose: takes tasks without a query that the leader offers at a target. The client runs them
--   itself. It runs as the caller, whose role async.caller proves to async.pull_as.
-- Returns: up to _limit tasks in the order of the queue. They are RUNNING until they are finished
--   or time out. No rows when no task is offered within _timeout, which is limited to one minute
--   because a waiting call holds a snapshot. Above READ COMMITTED the call does not wait.
-- Raises: PA040 for a target that clients cannot pull from, PA041 for a limit below 1, PA082 for a
--   target that the caller was not granted.
-- Locks: the rows that it takes, until the end of the transaction. It skips rows that other
--   transactions hold, so no task is returned to two callers.
create or replace function async.get_tasks(
  _target text,
  _limit int default 1,
  _timeout interval default '30 seconds',
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.pull_as(c.caller, c.ticket, _target, _limit, _timeout, null) p;
end
$function$;

-- pull/get_tasks_forwarded
-- Purpose: async.get_tasks as a client database calls it on its server, at a target within those
--   that it granted to its own caller.
-- Returns: as async.get_tasks.
-- Raises: as async.get_tasks.
-- Locks: as async.get_tasks.
create or replace function async.get_tasks_forwarded(
  in_target text,
  in_limit int,
  in_timeout interval,
  in_within async.scope_t,
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.pull_as(c.caller, c.ticket, in_target, in_limit, in_timeout, in_within) p;
end
$function$;

-- pull/wait_for_latch
-- Purpose: waits until the leader has completed a cycle that began after the call. The leader has
--   then read what was committed before the call.
-- Returns: nothing. In the leader session it returns at once.
-- Raises: PA050 when no orchestrator leads, also during the wait; PA051 above READ COMMITTED, where
--   the answer is not visible.
-- Locks: none. A waiting call holds a snapshot.
create or replace function async.wait_for_latch() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    perform async.forward('select async.wait_for_latch()::text');
  elsif not async.is_leader() then
    perform async.await_latch();
  end if;
end
$function$;

-- pull/forward_wait_for
-- Purpose: async.wait_for on a client database. It asks the server in calls of a second, so that the
--   caller can be canceled.
-- Returns: as async.wait_for.
-- Raises: PA052, PA053; the errors of async.forward.
-- Locks: none on this database.
create or replace function async.forward_wait_for(in_task_ids bigint[], in_until timestamptz) returns setof async.task
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left interval;
  v_wanted constant bigint := (select count(distinct i) from unnest(in_task_ids) i);
  v_ended bigint;
begin
  loop
    v_left := least(greatest(in_until - clock_timestamp(), '0'), '1 second');
    select f.result::bigint into v_ended
    from async.forward(format(
      'select pg_catalog.count(*)::text from async.wait_for(%L::bigint[], %L)', in_task_ids,
      extract(epoch from coalesce(v_left, '0'))::text || ' seconds')) as f(result);
    exit when v_ended >= v_wanted or coalesce(v_left, '0') = '0';
  end loop;
  return query
    select t.*
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text from async.wait_for(%L::bigint[], ''0'') t', in_task_ids)) as f(result),
      jsonb_populate_record(null::async.task, f.result::jsonb) t
    -- As in async.push_tasks.
    where true or exists (select from async.task);
end
$function$;

-- pull/wait_for
-- Purpose: waits until tasks have ended, and returns those that have. It runs as the caller, who may
--   read async.task.
-- Returns: the rows of the tasks that have ended by then, in the order of _task_ids. It waits until all
--   have ended, for _timeout at most, which is limited to one minute because a waiting call holds a
--   snapshot. Null and negative timeouts do not wait.
-- Raises: PA051 above READ COMMITTED, where an end is not visible, PA052 for a task that does not
--   exist, PA053 for a task that the transaction itself has pushed or restarted.
-- Locks: none.
create or replace function async.wait_for(_task_ids bigint[], _timeout interval default '30 seconds')
returns setof async.task
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_until constant timestamptz := clock_timestamp() + least(greatest(_timeout, '0'), '1 minute');
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'a transaction that is % cannot see how tasks end',
        current_setting('transaction_isolation')
      using errcode = 'PA051', hint = 'Wait for tasks at READ COMMITTED.';
  elsif async.client_only() then
    return query
      select t.* from async.forward_wait_for(_task_ids, v_until) t
      -- As in async.push_tasks.
      where true or exists (select from async.task);
    return;
  end if;
  perform async.await_ends(_task_ids, v_until);
  return query
    select t.*
    from (
      select i.id, min(i.place) as place from unnest(_task_ids) with ordinality as i(id, place) group by i.id
    ) i
    join async.task t on t.task_id = i.id
    where t.processed is not null
    order by i.place;
end
$function$;

-- results/may_read_result
-- Purpose: whether the reader may read the result of a task: the role that pushed it, those that have its
--   privileges, and administrators.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_read_result(in_keep_result_for text) returns bool
language sql stable security invoker
set search_path = pg_catalog, pg_temp
as $function$
  select in_keep_result_for = current_user
    or exists (
      select from pg_roles r where r.rolname = in_keep_result_for::name and pg_has_role(r.oid, 'usage'))
    or has_function_privilege('async.configure(jsonb)', 'execute')
$function$;

-- install/guard_results
-- Who reads which rows of async.result. The owner reads all. The result of a deleted task is not shown.
do $do$
begin
  if not exists (select from pg_catalog.pg_policy p where p.polrelid = 'async.result'::pg_catalog.regclass) then
    create policy readers_of_result on async.result for select using (exists (
      select from async.task t
      where t.task_id operator(pg_catalog.=) result.task_id and async.may_read_result(t.keep_result_for)));
  end if;
end
$do$;

-- results/forward_get_result
-- Purpose: async.get_result on a client database.
-- Returns: as async.get_result.
-- Raises: the errors of async.forward.
-- Locks: none on this database.
create or replace function async.forward_get_result(in_task_id bigint) returns setof async.result
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select r.*
    from async.forward(format('select pg_catalog.to_jsonb(r)::text from async.get_result(%L) r', in_task_id))
        as f(result),
      jsonb_populate_record(null::async.result, f.result::jsonb) r;
end
$function$;

-- results/get_result
-- Purpose: the result of a task that was pushed with keep_result. It runs as the caller,
--   and the policy of async.result shows the rows that the caller may read.
-- Returns: at most one row.
-- Raises: nothing; on a client database the errors of async.forward.
-- Locks: none.
create or replace function async.get_result(_task_id bigint) returns setof async.result
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    return query select f.* from async.forward_get_result(_task_id) f;
  else
    return query select r.* from async.result r where r.task_id = _task_id;
  end if;
end
$function$;

-- results/try_to_commit
-- Purpose: raises the error of a COMMIT where none is possible, in the language of the session. A
--   function can never commit.
-- Returns: never.
-- Raises: 2D000.
-- Locks: none.
create or replace function async.try_to_commit() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  commit;
end
$function$;

-- results/check_run
-- Purpose: checks, before async.run pushes anything, that its caller may commit and can see how a task
--   ends. in_refusal is the error of a COMMIT in a block with an exception handler of async.run, which
--   always fails. The message is that of async.try_to_commit where the caller forbids the commit: it is in
--   a transaction block, or a function. Otherwise it names the handler.
-- Returns: nothing.
-- Raises: PA054 if the caller cannot commit, PA051 above READ COMMITTED.
-- Locks: none.
create or replace function async.check_run(in_refusal text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  begin
    perform async.try_to_commit();
  exception when invalid_transaction_termination then
    if sqlerrm = in_refusal then
      raise exception 'async.run needs autocommit: it cannot commit its push inside a transaction block or a function'
        using errcode = 'PA054',
          hint = 'Call it outside of a transaction; or push with async.push, commit, and call async.wait_for.';
    end if;
  end;
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'a transaction that is % cannot see how tasks end', current_setting('transaction_isolation')
      using errcode = 'PA051', hint = 'Call async.run at READ COMMITTED.';
  end if;
end
$function$;

-- results/run_result
-- Purpose: what async.run returns for a task that has ended.
-- Returns: the rows, as an array; null if none are kept. A warning (PA057) says that rows are missing.
-- Raises: the error of the task, with its SQLSTATE if it has one and else PA055; PA056 if the task
--   succeeded and its rows could not be stored.
-- Locks: none.
create or replace function async.run_result(in_task async.task) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_result async.result;
  v_code text;
begin
  if in_task.failed then
    -- The classes 00 to 02 are no errors.
    v_code := substring(in_task.processing_error from '^([0-9A-Z]{5}): ');
    if in_task.finish_status <> 'FAILED' or v_code ~ '^0[0-2]' then
      v_code := null;
    end if;
    raise exception using
      errcode = coalesce(v_code, 'PA055'),
      message = case when v_code is not null then split_part(substr(in_task.processing_error, 8), E'\nDETAIL: ', 1)
        else format('task %s is %s%s', in_task.task_id, in_task.finish_status,
          coalesce(': ' || in_task.processing_error, '')) end,
      detail = format('Task %s at the target %L is %s%s', in_task.task_id, in_task.target, in_task.finish_status,
        coalesce(': ' || in_task.processing_error, '.'));
  end if;
  select r.* into v_result from async.get_result(in_task.task_id) r;
  if v_result.task_id is not null and v_result.rows is null then
    raise exception 'task % succeeded, and its rows are not available: %', in_task.task_id, v_result.error
      using errcode = 'PA056', hint = 'What it changed is committed. Run it again only if that does no harm.';
  elsif v_result.truncated then
    raise warning 'task %: only % of % rows are returned: %', in_task.task_id, jsonb_array_length(v_result.rows),
        v_result.row_count, coalesce(v_result.error, 'the others exceed result_bytes_max')
      using errcode = 'PA057';
  end if;
  return v_result.rows;
end
$function$;

-- results/run
-- Purpose: pushes a task, commits, waits for its end, and returns its rows. If the caller is canceled, the
--   task goes on. It runs as the caller.
-- Returns: in _result the rows as an array; null without keep_result.
-- Raises: as async.push, async.check_run and async.run_result.
-- Locks: as async.push. It waits for the task, in transactions of a second. (A procedure with a SET
--   clause cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.run(
  _query text,
  _target text,
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  run_at timestamptz default null,
  expires_at timestamptz default null,
  unique_key text default null,
  unique_while text default null,
  on_conflict text default null,
  retry text default null,
  keep_result bool default true,
  receipt bool default null,
  inout _result jsonb default null)
language plpgsql security invoker
as $procedure$
declare
  v_task bigint;
  v_end async.task;
  v_refusal pg_catalog.text;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    commit;
  exception when invalid_transaction_termination then
    v_refusal := sqlerrm;
  end;
  perform async.check_run(v_refusal);
  v_task := async.push(_query, _target, priority, concurrency_pool, timeout, task_data, track_yielded, source, run_at,
    expires_at, unique_key, unique_while, on_conflict, retry, keep_result, receipt);
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  loop
    begin
      select t.* into v_end from async.wait_for(array[v_task], '1 second') t;
    exception when query_canceled then
      raise notice 'task % goes on: async.wait_for waits for its end, async.cancel ends it', v_task;
      raise;
    end;
    exit when v_end.task_id is not null;
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  _result := async.run_result(v_end);
end
$procedure$;

-- permissions/revoke_privileges
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

-- permissions/change_privileges
-- Purpose: grants to a role the privileges of a client or an administrator on the installed objects; or
--   revokes all privileges of the role in the schema, whichever version granted them. An installation
--   repeats the grants (async.restore_privileges), so that they include new functions.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: the catalog rows of the objects whose privileges it changes.
create or replace function async.change_privileges(in_role text, in_level text, in_grant bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- On a client database, finish, cancel and defer call request_finish.
  c_client_calls constant name[] := '{client_only,server,masked_server,task,push_tasks,push_as,push_forwarded,
    push_task,push,push_many,push_many_as,push_many_forwarded,push_each,targets,targets_as,targets_forwarded,
    finish,request_finish,cancel,defer,restart_task,restart,restart_as,restart_forwarded,restart_many_forwarded,
    get_tasks,pull_as,get_tasks_forwarded,wait_for_latch,wait_for,forward_wait_for,await_ends,
    run,check_run,try_to_commit,run_result,
    get_result,forward_get_result,may_read_result,
    roles_of,ambiguous_roles,is_pushed_by,why_task_waits,task_execution_state,interval_pretty,next_time,schedule,schedule_as,unschedule,pause_schedule,resume_schedule,
    change_schedule_as,error_group}';
  c_admin_calls constant name[] := '{configure,configure_as,configure_forwarded,set_server_as,log,tail,tail_once,
    worker_info,active_workers,reinitialize_workers,set_concurrency_pool_tracker,mask_connection_string,references_secret,leader_exists,
    discover_lanes,pool_limit,is_paused,leader_session,standby_sessions,lane_backlog,read_metrics,waits_for_launch,waits_for_offer,write_off_session,
    change_part_as,set_target,retire_target,refuse_configuration,set_pool,set_control,configuration,target_setup}';
  -- Columns that only the owner can read.
  c_secrets constant name[] := '{connection_string,self_connection_string,secret}';
  v_statement text;
begin
  if not exists (select from pg_roles r where r.rolname = in_role) then
    raise exception 'there is no role %', coalesce(quote_ident(in_role), 'null')
      using errcode = 'PA080', hint = 'Create it first: create role ...';
  end if;
  if not in_grant then
    perform async.revoke_privileges(in_role);
    return;
  end if;
  for v_statement in
    select format('usage on schema async')
    union all
    select format('usage on type %s', t.oid::regtype)
    from pg_type t
    where t.typnamespace = 'async'::regnamespace
      and (t.typtype = 'e' or t.oid = 'async.task_push_t'::regtype)
    union all
    select format('execute on routine %s', p.oid::regprocedure)
    from pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and (p.proname = any (c_client_calls) or in_level = 'admin' and p.proname = any (c_admin_calls))
    union all
    select 'select on async.task'
    union all
    select 'select on async.result'
    union all
    select 'select on async.attempt'
    where to_regclass('async.attempt') is not null
    union all
    -- It shows the texts of schedules to their owners only.
    select 'select on async.v_schedule'
    where to_regclass('async.v_schedule') is not null
    union all
    select 'select on async.v_my_task'
    where to_regclass('async.v_my_task') is not null
    union all
    select 'select on async.caller'
    union all
    select 'select (client_only, version) on async.client_control'
    union all
    -- Tables and views. Grants on tables name the columns, because some hold connection strings.
    select case when c.relkind = 'v' then format('select on %s', c.oid::regclass)
      else format('select (%s) on %s', string_agg(quote_ident(a.attname), ', ' order by a.attnum), c.oid::regclass) end
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where in_level = 'admin'
      and c.relnamespace = 'async'::regnamespace and c.relkind in ('r', 'v')
      and (c.relkind = 'v' or a.attname <> all (c_secrets))
    group by c.oid, c.relkind
    union all
    select 'update (enabled, paused) on async.control'
    where in_level = 'admin' and to_regclass('async.control') is not null
  loop
    execute format('grant %s to %I', v_statement, in_role);
  end loop;
end
$function$;

-- permissions/set_grant
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

-- permissions/grantable_scope
-- Purpose: what the names given to async.grant_client mean. SELF, in any case, and the name of the
--   self target are the server itself, unless a target is named just so. A client database does not
--   know the targets of its server, and keeps SELF as a name too.
-- Returns: async.scope_t; every target but the server itself for null.
-- Raises: PA081 for a name that is null or empty. A warning (PA083) for a target that is not
--   configured.
-- Locks: none.
create or replace function async.grantable_scope(in_targets text[]) returns async.scope_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := row('{}', false)::async.scope_t;
  v_target text;
  v_is_server constant bool := not async.client_only();
  v_name text;
begin
  foreach v_target in array coalesce(in_targets, '{*}') loop
    if btrim(v_target, E' \t\n\r\f\x0b') <> '' is not true then
      raise exception 'a target to grant is %', case when v_target is null then 'null' else 'empty' end
        using errcode = 'PA081', hint = 'Name a target, SELF, or * for every target but SELF.';
    end if;
    v_name := v_target;
    if v_is_server then
      v_name := async.resolve_target(v_target);
      if v_name = (select c.self_target from async.control c) then
        v_scope.reaches_self := true;
        continue;
      elsif v_name <> '*' and not exists (select from async.target t where t.target = v_name) then
        raise warning 'the target % is granted, but not configured', quote_literal(v_name) using errcode = 'PA083';
      end if;
    elsif upper(v_target) = 'SELF' then
      v_scope.reaches_self := true;
    end if;
    v_scope.targets := v_scope.targets || v_name;
  end loop;
  v_scope.targets := array(select distinct u.target from unnest(v_scope.targets) as u(target) order by u.target);
  return v_scope;
end
$function$;

-- permissions/revoke_level
-- Purpose: revokes one level of a role: all its privileges in the schema, except those that the other
--   level gives.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the rows of the role in async.role_grant.
create or replace function async.revoke_level(in_role text, in_level text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(in_role, 'admin', false);
  delete from async.role_grant g using pg_roles r
  where r.rolname = in_role and g.grantee = r.oid and g.level = in_level;
  perform async.change_privileges(in_role, g.level, true)
  from async.role_grant g
  join pg_roles r on r.oid = g.grantee
  where r.rolname = in_role;
end
$function$;

-- permissions/grant_client
-- Purpose: lets a role push, restart and pull tasks at targets; and read, finish, cancel and defer
--   any task. Connection strings stay unreadable. A second call replaces the targets. For the owner
--   of the schema.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist, PA081 for a target that is null or empty. A warning
--   (PA083) for a target that is not configured.
-- Locks: as async.change_privileges; the row of the role in async.role_grant.
create or replace function async.grant_client(_role text, _targets text[] default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(_role, 'client', true);
  perform async.set_grant(_role, 'client', async.grantable_scope(_targets));
end
$function$;

-- permissions/revoke_client
-- Purpose: revokes what async.grant_client granted, and privileges in the schema that were granted to the
--   role by hand. The privileges of an administrator stay.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the rows of the role in async.role_grant.
create or replace function async.revoke_client(_role text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.revoke_level($1, 'client')
$function$;

-- permissions/grant_admin
-- Purpose: lets a role do what a client may do at every target but the server itself, configure,
--   set the server, pause (update async.control), write to the log, and read the log and the views.
--   Connection strings stay unreadable. Routines, SELF and the address of the server stay with the
--   owner. For the owner of the schema.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the row of the role in async.role_grant.
create or replace function async.grant_admin(_role text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_privileges(_role, 'admin', true);
  perform async.set_grant(_role, 'admin', row('{*}', false)::async.scope_t);
end
$function$;

-- permissions/revoke_admin
-- Purpose: revokes what async.grant_admin granted, and privileges in the schema that were granted to the
--   role by hand. What async.grant_client granted stays.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges; the rows of the role in async.role_grant.
create or replace function async.revoke_admin(_role text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.revoke_level($1, 'admin')
$function$;

-- permissions/v_grant
-- Which targets clients and administrators may use. '*' is every target but the server itself.
create or replace view async.v_grant as
select g.grantee, g.level, g.targets, g.reaches_self
from async.role_grant g
join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) g.grantee::pg_catalog.oid;

-- install/bind_dblink
-- Purpose: adapts the functions that call dblink to the schema of the extension. Their source names
--   the schema public. The installation of each part ends with this function, because the
--   replacement of a function restores the source.
-- Returns: nothing.
-- Raises: no error of class PA.
-- Locks: the catalog rows that it changes.
create or replace function async.bind_dblink() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_schema name;
  v_function regprocedure;
begin
  select n.nspname into v_schema
  from pg_extension e
  join pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'dblink';
  for v_function in
    select p.oid::regprocedure
    from pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and p.prokind = 'f'
      and p.proname <> 'bind_dblink'
      and p.prosrc ~ E'\\mpublic\\.dblink(_|\\()'
      and v_schema <> 'public'
    order by p.oid
  loop
    execute regexp_replace(pg_get_functiondef(v_function), E'\\mpublic\\.dblink(?=_|\\()',
      replace(quote_ident(v_schema), E'\\', E'\\\\') || '.dblink', 'g');
  end loop;
end
$function$;

-- install/check_secret_row
-- Purpose: a trigger on the tables with connection strings. If a row violates a constraint, Postgres
--   writes the whole row to the log of the server. The trigger checks the constraints first, and its
--   error names only the constraint.
-- Returns: the unchanged row.
-- Raises: not_null_violation, check_violation.
-- Locks: none.
create or replace function async.check_secret_row() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_row constant jsonb := to_jsonb(new);
  v_name text;
  v_constraint record;
  v_fits bool;
begin
  select a.attname into v_name
  from pg_attribute a
  where a.attrelid = tg_relid and a.attnotnull and not a.attisdropped and v_row -> a.attname = 'null'
  order by a.attnum
  limit 1;
  if found then
    raise exception '% of % must not be null', quote_ident(v_name), tg_relid::regclass
      using errcode = 'not_null_violation', column = v_name, table = tg_table_name, schema = tg_table_schema;
  end if;
  for v_constraint in
    select c.conname, pg_get_expr(c.conbin, c.conrelid) as condition
    from pg_constraint c
    where c.conrelid = tg_relid and c.contype = 'c'
    order by c.conname
  loop
    execute format('select (%s) is not false from jsonb_populate_record(null::%s, $1) r',
      v_constraint.condition, tg_relid::regclass)
    into v_fits
    using v_row;
    if not v_fits then
      raise exception 'a row of % violates the constraint %', tg_relid::regclass, quote_ident(v_constraint.conname)
        using errcode = 'check_violation', constraint = v_constraint.conname, table = tg_table_name,
          schema = tg_table_schema;
    end if;
  end loop;
  return new;
end
$function$;

-- install/guard_secret_rows
-- Purpose: creates the trigger async.check_secret_row on the tables with connection strings. The
--   installation of each part ends with it.
-- Returns: nothing.
-- Raises: no error of class PA.
-- Locks: the tables that get the trigger.
create or replace function async.guard_secret_rows() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_table regclass;
begin
  for v_table in
    select c.oid::regclass
    from pg_class c
    where c.relnamespace = 'async'::regnamespace and c.relkind = 'r'
      and exists (
        select from pg_attribute a
        where a.attrelid = c.oid and a.attname in ('connection_string', 'self_connection_string')
          and not a.attisdropped)
      and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'check_secret_row')
    order by c.oid
  loop
    execute format('create trigger check_secret_row before insert or update on %s '
      'for each row execute procedure async.check_secret_row()', v_table);
  end loop;
end
$function$;

-- install/restore_privileges
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

-- comments/schema_and_types
-- The schema and its types, for \dn+ and \dT+.
comment on schema async is
  'pgasync: runs SQL in the background. Tasks are pushed with async.push_tasks.';

comment on type async.finish_status_t is
  'How a task ended, or what a request asks for. FINISHED, FAILED, CANCELED, TIMED_OUT and DOA '
  'are ends; YIELDED, PAUSED and DEFERRED are not.';
comment on type async.task_run_type_t is
  'How a pushed task runs. EXECUTE: as the settings of its target say. EXECUTE_NOASYNC: it '
  'finishes with its query. EMPTY: it never runs and counts as finished. DOA: it never runs and '
  'counts as failed.';
comment on type async.task_execution_state_t is
  'The phase of a task: READY, RUNNING, YIELDED or FINISHED.';
comment on type async.routine_type_t is
  'When the orchestrator runs a routine. STARTUP: when it starts. LOOP: in every cycle.';

comment on type async.task_push_t is
  'A task to push. Build it with async.task(...) or row(...)::async.task_push_t.';
comment on column async.task_push_t.task_data is 'JSON data of the client, stored with the task.';
comment on column async.task_push_t.target is
  'The name of the target that runs the query. SELF is the server database.';
comment on column async.task_push_t.priority is 'Lower runs first. Null is 0.';
comment on column async.task_push_t.query is
  'The query to run. Null for a task that a client pulls with async.get_tasks.';
comment on column async.task_push_t.concurrency_pool is
  'The pool that limits the task. Null is the pool of its target.';
comment on column async.task_push_t.manual_timeout is
  'The time from the first start to the deadline. Null is the timeout of the target, else the '
  'default.';
comment on column async.task_push_t.track_yielded is
  'Whether the task keeps its pool slot while it is YIELDED. Null is the setting of the target.';

-- comments/tables
-- The tables of the client part and their columns.
comment on table async.task is
  'The tasks: the queue, the state and the history. async.task_execution_state derives the phase '
  'of a row. Only the leader changes a task that it holds. Clients request changes with '
  'async.finish, cancel, defer and restart_task.';
comment on column async.task.task_id is 'The id of the task, assigned by the push.';
comment on column async.task.target is 'The name of the target that runs the query.';
comment on column async.task.priority is
  'The task with the lower value runs first, then the one with the earlier entered, then the one '
  'with the lower task_id. Negative values are reserved by convention.';
comment on column async.task.entered is 'When the task was pushed.';
comment on column async.task.consumed is
  'When the task was claimed for its present or last run. Null while it is READY.';
comment on column async.task.processed is 'When the task finished. Null before.';
comment on column async.task.yielded is 'When the task became YIELDED. Null otherwise.';
comment on column async.task.finish_status is
  'How the task ended. YIELDED while it waits for async.finish. Null before.';
comment on column async.task.source is 'The source that the push named.';
comment on column async.task.query is
  'The query. ##flow.TASK_ID## in it is replaced by the id of the task. Null for a task that a '
  'client pulls.';
comment on column async.task.failed is
  'True for an end other than FINISHED, false for FINISHED, null before the end.';
comment on column async.task.processing_error is
  'SQLSTATE, message, detail, hint and context of the error of the query, or the message of the '
  'request that ended the task. At most 64 KiB.';
comment on column async.task.asynchronous_finish is
  'True when the end of the query makes the task YIELDED, and async.finish finishes it.';
comment on column async.task.times_up is
  'The deadline. It is set at the first claim and stays through deferrals. Before that it is '
  'expires_at. infinity when the task has no deadline.';
comment on column async.task.task_data is 'JSON data of the client, stored with the task.';
comment on column async.task.concurrency_pool is
  'The pool that limits the task. Null is the pool of its target.';
comment on column async.task.manual_timeout is
  'The time from the first claim to the deadline. Null is the timeout of the target, else the '
  'default.';
comment on column async.task.tracked is
  'True while the task holds a pool slot, as an offer too. False after it has released the pool '
  'slot at its end. Null otherwise.';
comment on column async.task.track_yielded is
  'True when the task keeps its pool slot while it is YIELDED.';
comment on column async.task.eligible_when is
  'The task does not run before this time: its run_at, or the end of a deferral or a pause. Null '
  'otherwise.';
comment on column async.task.run is
  'The number of claims so far. A result names the run that it ends, so a late result never ends '
  'a newer run.';
comment on column async.task.pushed_by is
  'The role that pushed the task: its session_user, followed by as and its current_user where that '
  'is another. Null for older tasks.';
comment on column async.task.may_reach_self is
  'False when the task was pushed, or restarted, without a grant on SELF: it is not launched in a '
  'session at this database of a member of the owner. Null otherwise.';
comment on column async.task.ended_by is
  'The role whose request ended the task (cancel, finish), by its login: its session_user. Null for '
  'any other end, such as that of the query, a deadline or the loss of a target.';
comment on column async.task.retry is
  'The retry policy, as the push copied it: delays in microseconds; what is absent is false, no '
  'jitter, or no growth of the delay. Null without a policy.';
comment on column async.task.attempt is
  'The number of failed attempts since the push or the last restart. Null without a policy.';
comment on column async.task.arrived is
  'The id of the transaction that made the task READY last. Null for tasks that are older than the '
  'column.';
comment on column async.task.run_at is
  'The task does not run before this time, whatever happens to it. Null when it may run at once.';
comment on column async.task.expires_at is
  'The deadline of the whole task, waiting and all runs included. Null when it does not expire.';
comment on column async.task.unique_key is
  'At most one task with this key, at each target, is unfinished, or waits for its first start: see '
  'unique_while. Null for tasks without a key.';
comment on column async.task.unique_while is
  'How long the task has its unique key: unfinished, until its end, or waiting, until its first '
  'claim. Null without a key.';
comment on column async.task.schedule is
  'The schedule that pushed the task. Null for a task that a client pushed.';
comment on column async.task.scheduled_for is
  'The time of the schedule for which it pushed the task. Null without a schedule.';
comment on column async.task.receipt is
  'True when the query writes a receipt at its target, which says how a lost run ended. Null for '
  'other tasks.';
comment on column async.task.keep_result_for is
  'The role that pushed the task with keep_result, and may read its result. Null for tasks whose '
  'rows are not kept.';

comment on table async.result is
  'The rows of tasks that were pushed with keep_result. The role that pushed the task, members of '
  'this role, and administrators read them.';
comment on column async.result.task_id is 'The id of the task.';
comment on column async.result.run is 'The run of the task that returned these rows.';
comment on column async.result.row_count is
  'The number of rows that the query returned; of a query without rows, the number that it changed.';
comment on column async.result.rows is
  'An array with the first rows, each an object. Null if none could be stored: see error.';
comment on column async.result.truncated is 'True when rows are missing in rows.';
comment on column async.result.bytes is 'The size of the rows as text, in UTF-8.';
comment on column async.result.error is
  'Why rows is null, or ends before the limit is reached. Null otherwise.';

comment on table async.role_grant is
  'Internal. What async.grant_client and async.grant_admin gave to which roles. async.v_grant '
  'shows it.';
comment on column async.role_grant.grantee is 'The role. Roles with its privileges have the grant.';
comment on column async.role_grant.level is 'client or admin.';
comment on column async.role_grant.targets is
  'The targets that the role may use. * is every target but the server itself.';
comment on column async.role_grant.reaches_self is
  'True when SELF, the server itself, was granted by name.';

comment on view async.v_grant is
  'Which targets clients and administrators may use. The owner of the schema may use all.';
comment on column async.v_grant.grantee is 'The role. Roles with its privileges have the grant.';
comment on column async.v_grant.level is 'client or admin.';
comment on column async.v_grant.targets is
  'The targets that the role may use. * is every target but the server itself.';
comment on column async.v_grant.reaches_self is
  'True when SELF, the server itself, was granted by name.';

comment on table async.caller_key is
  'Internal. One row: the key of the hashes of async.caller. Only the owner reads it.';
comment on column async.caller_key.secret is 'The key: 32 random bytes.';

comment on view async.caller is
  'Internal. The role that reads the view, with a hash that proves it. async.push_tasks and '
  'others read it.';
comment on column async.caller.caller is 'The role that reads the view: current_user.';
comment on column async.caller.ticket is
  'The hash. It holds for this role, in this backend and transaction.';

comment on table async.client_control is
  'One row: whether this database is a client database or a server, and how it reaches its server.';
comment on column async.client_control.client_only is
  'True on a client database, whose calls are forwarded to its server. False on a server.';
comment on column async.client_control.connection_string is
  'The connection string of the server, on a client database. May contain a password. Only the '
  'owner can read it.';
comment on column async.client_control.version is 'The version of the client part.';

comment on table async.migration is
  'Internal. The migrations that were applied to this database.';
comment on column async.migration.migration is 'The name of the migration.';
comment on column async.migration.applied is 'When it was applied.';

-- comments/calls
-- The calls of the client part. docs/errors.md lists the error codes.
comment on function async.task(text, text, jsonb, int, text, interval, bool) is
  'Builds one task for async.push_tasks. Stores nothing.';
comment on function async.push_tasks(async.task_push_t[], async.task_run_type_t, text) is
  'Pushes tasks in the transaction of the caller, in the order of the array. Returns the new rows '
  'in that order. Raises PA010 to PA01B and PA082 with the position of the element, PA01C, and then '
  'pushes nothing. On a client database the server pushes, and commits on its own.';
comment on function async.push_task(async.task_push_t, async.task_run_type_t, text) is
  'Pushes one task and returns its id, or null if a trigger kept the row out. Raises what '
  'async.push_tasks raises.';
comment on function async.push_many(jsonb) is
  'Pushes tasks with options: an array of objects with the keys query, target, and the options '
  'of async.push. Returns for each element, in order, the id of the new task, or that of the '
  'task that has its unique key already, and whether it is such a duplicate. Raises PA010 to '
  'PA01K and PA082 with the element, and then pushes nothing.';
comment on function async.push(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text,
    text, text, text, bool, bool) is
  'Pushes one task with options, in the transaction of the caller, and returns its id, or that '
  'of the task that has its unique key already. An option that is null has its default. '
  'priority: lower values run first, default 0. concurrency_pool, timeout and track_yielded: '
  'default those of the target; the timeout is the time from the first start to the deadline. '
  'task_data: data of the client. source: a name for the origin, up to 255 bytes. run_at: the '
  'earliest start. expires_at: the deadline of the whole task, its waiting included. unique_key '
  '(up to 1024 bytes), unique_while (unfinished or waiting, default unfinished), on_conflict '
  '(skip, error or replace, default skip): at each target one task has a key at a time. retry: '
  'the name of a retry policy, or none; default that of the target, else of control. '
  'keep_result: true keeps the rows. receipt: true makes the outcome of a lost run known. Raises '
  'what async.push_many raises.';
comment on function async.push_each(text, text[], int, text, interval, jsonb, bool, text, timestamptz, timestamptz,
    text, text, text, text, bool, bool) is
  'Pushes one query to each of some targets, with the same options. Returns the ids in the order of '
  'the targets. Raises what async.push_many raises.';
comment on function async.targets(text) is
  'The names of the targets with a tag, sorted, without retired ones and those that the caller '
  'may not use.';
comment on function async.push_many_as(name, bytea, jsonb, async.scope_t) is
  'Internal. async.push_many for the role that read the ticket from async.caller.';
comment on function async.push_many_forwarded(jsonb, async.scope_t, text, text) is
  'Internal. async.push_many as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.targets_as(name, bytea, text, async.scope_t) is
  'Internal. async.targets for the role that read the ticket from async.caller.';
comment on function async.targets_forwarded(text, async.scope_t) is
  'Internal. async.targets as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.finish(bigint[], async.finish_status_t, text, interval) is
  'Asks the orchestrator to end tasks with a status, to defer them (DEFERRED, by _duration) or to '
  'pause them (PAUSED). Does not wait. Takes effect after the commit of the caller''s transaction. '
  'Warns about unknown and finished ids. Raises PA020, PA021, PA022.';
comment on function async.finish(bigint[], async.finish_status_t, text) is
  'The same without a duration.';
comment on function async.cancel(bigint[], text) is
  'Asks the orchestrator to cancel tasks. They end as CANCELED, unless the query committed first. '
  'Does not wait. Warns about unknown and finished ids.';
comment on function async.defer(bigint[], interval) is
  'Asks the orchestrator to return tasks to the queue. They do not start before the duration has '
  'passed. Does not wait. Warns about unknown and finished ids. Raises PA021, PA022.';
comment on function async.restart_task(bigint) is
  'Resets a finished task to READY at once and clears its results. Raises PA030 to PA035, PA082.';
comment on function async.restart(bigint[]) is
  'async.restart_task for several tasks: all of them, or none.';
comment on function async.restart_many_forwarded(bigint[], async.scope_t) is
  'Internal. async.restart as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.wait_for(bigint[], interval) is
  'Waits until tasks have ended, up to _timeout (at most one minute), and returns those that have, in '
  'the order of the ids. Raises PA051 above READ COMMITTED, PA052 for a task that does not exist, '
  'PA053 for one that the transaction itself has pushed or restarted.';
comment on function async.forward_wait_for(bigint[], timestamptz) is
  'Internal. async.wait_for on a client database.';
comment on function async.get_result(bigint) is
  'The result of a task that was pushed with keep_result: one row of async.result, or none.';
comment on function async.forward_get_result(bigint) is
  'Internal. async.get_result on a client database.';
comment on function async.roles_of(name) is
  'Internal. The roles whose privileges a role has.';
comment on function async.ambiguous_roles() is
  'Internal. The roles whose names read like two names in async.task.pushed_by.';
comment on function async.may_read_result(text) is
  'Internal. True when the caller may read the results of the tasks that a role has pushed.';
comment on procedure async.run(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text,
    text, text, text, bool, bool, jsonb) is
  'Pushes a task, commits, waits for its end, and returns its rows in _result. Raises the error of '
  'the task with its SQLSTATE, or PA055; PA054 inside a transaction block, PA051 above READ '
  'COMMITTED, PA056 if the task succeeded and its rows are not available. Warns (PA057) if rows are '
  'missing.';
comment on function async.check_run(text) is
  'Internal. Checks that async.run may commit. Raises PA051, PA054.';
comment on function async.try_to_commit() is
  'Internal. Raises the error of a COMMIT in a function, for async.check_run.';
comment on function async.run_result(async.task) is
  'Internal. What async.run returns for a task that has ended. Raises PA055, PA056 and the error '
  'of the task.';
comment on function async.get_tasks(text, int, interval) is
  'Takes up to _limit tasks without a query at a target, and waits up to _timeout (at most one '
  'minute) for the first. Finish each with async.finish before its times_up. No task is returned '
  'to two callers. Raises PA040, PA041, PA082.';
comment on function async.wait_for_latch() is
  'Returns when the orchestrator has completed a whole cycle that began after the call. Raises '
  'PA050 while no orchestrator leads, PA051 above READ COMMITTED.';
comment on function async.server(text) is
  'Returns the connection string of the server of this client database, without the password '
  'unless the caller may read the column; null on a server. With an argument, sets it first '
  '(administrators). Raises PA001, PA004, PA084.';
comment on function async.masked_server() is
  'Internal. The connection string of the server of a client database, with the password masked. '
  'async.server() calls it.';
comment on function async.references_secret(text) is
  'Internal. True when the password of a connection string is a reference, which only pgasync '
  'run resolves.';
comment on function async.set_server_as(name, bytea, text) is
  'Internal. Sets the connection string of the server of a client database. async.server(text) '
  'calls it. Raises PA001, PA084.';
comment on function async.configure(jsonb) is
  'Changes settings, targets, concurrency pools, retry policies and schedules. The document has '
  'the keys control, targets, concurrency_pools, retry_policies and schedules. A key that is '
  'missing or null changes nothing. A list that is given is the complete list: targets and pools '
  'that it leaves out are retired, policies and schedules of documents are removed. Takes effect '
  'in a running orchestrator. Raises PA060 and PA084 with the path of the value, and then '
  'changes nothing.';
comment on function async.client_only() is
  'True on a client database, whose calls are forwarded to its server. False on a server.';
comment on function async.task_execution_state(async.task) is
  'The phase of a task: READY, RUNNING, YIELDED or FINISHED.';
comment on function async.mask_connection_string(text) is
  'Masks the secrets in a connection string: its settings, with each secret replaced by ****. A '
  'string that cannot be parsed becomes **** as a whole.';
comment on function async.grant_client(text, text[]) is
  'Lets a role push, restart and pull tasks at the named targets, and read, finish, cancel and '
  'defer any task. * is every target but the server itself, and the default; SELF is the server '
  'itself. A second call replaces the targets. Raises PA080, PA081. Warns (PA083) about a target '
  'that is not configured.';
comment on function async.revoke_client(text) is
  'Revokes what async.grant_client granted. Raises PA080 when the role does not exist.';
comment on function async.grant_admin(text) is
  'Lets a role do what a client may do at every target but the server itself, configure, set the '
  'server, pause, and read the log and the views. Raises PA080 when the role does not exist.';
comment on function async.revoke_admin(text) is
  'Revokes what async.grant_admin granted; what async.grant_client granted stays. Raises PA080 when '
  'the role does not exist.';
comment on function async.push_as(name, bytea, async.task_push_t[], async.task_run_type_t, text, async.scope_t) is
  'Internal. async.push_tasks for the role that read the ticket from async.caller.';
comment on function async.push_forwarded(async.task_push_t[], async.task_run_type_t, text, async.scope_t) is
  'Internal. async.push_tasks as a client database calls it on its server, with the grants of '
  'its caller.';
comment on function async.restart_as(name, bytea, bigint[], async.scope_t) is
  'Internal. async.restart for the role that read the ticket from async.caller.';
comment on function async.restart_forwarded(bigint, async.scope_t) is
  'Internal. async.restart_task as a client database calls it on its server, with the grants of '
  'its caller.';
comment on function async.pull_as(name, bytea, text, int, interval, async.scope_t) is
  'Internal. async.get_tasks for the role that read the ticket from async.caller.';
comment on function async.get_tasks_forwarded(text, int, interval, async.scope_t) is
  'Internal. async.get_tasks as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.configure_as(name, bytea, jsonb, bool) is
  'Internal. async.configure for the role that read the ticket from async.caller.';
comment on function async.configure_forwarded(jsonb, bool) is
  'Internal. async.configure as a client database calls it on its server.';

-- finish
-- The last step of every part.
do $finish$
begin
  perform async.bind_dblink();
  perform async.guard_secret_rows();
  perform async.restore_privileges();
  update async.client_control set version = '0.1.0' where version <> '0.1.0';
  -- On a server, whose functions of the client part were replaced just now.
  if to_regprocedure('async.bind_trigger_path(text[])') is not null then
    perform async.bind_trigger_path('{}');
  end if;
end
$finish$;

-- Restores the search path and the lock timeout of the session.
do $end$
begin
  if current_setting('pgasync.installer_path', true) like '=%' then
    perform set_config('search_path', substr(current_setting('pgasync.installer_path'), 2), false);
  end if;
  if current_setting('pgasync.installer_lock_timeout', true) = '0' then
    perform set_config('lock_timeout', '0', false);
  end if;
  perform pg_catalog.set_config('pgasync.installer_lock_timeout', '', false),
    pg_catalog.set_config('pgasync.installer_path', '', false),
    pg_catalog.set_config('pgasync.installer_schemas', '', false);
end
$end$;
