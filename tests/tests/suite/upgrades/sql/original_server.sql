-- What a server of the library has besides: its tables, and as much of its routines and views as an installation meets.
update async.client_control set client_only = false;

create table async.control (
  enabled boolean default true,
  workers int default 100,
  idle_sleep float8 default 0.1,
  heavy_maintenance_sleep interval default interval '24 hours',
  task_keep_duration interval default interval '30 days',
  default_timeout interval default interval '1 hour',
  advisory_mutex_id int default 0,
  self_target text default 'async.self',
  self_connection_string text default null,
  self_concurrency int default 4,
  last_heavy_maintenance timestamptz,
  running_since timestamptz,
  paused boolean not null default false,
  pid int,
  busy_sleep float8 default 0.01,
  light_maintenance_sleep interval default interval '5 minutes',
  last_light_maintenance timestamptz,
  default_concurrency_pool_workers int default 4,
  startup_routines text[],
  loop_routines text[],
  version text default '1.0',
  debug_log boolean default true
);
create unique index on async.control ((1));
insert into async.control default values;

create table async.target (
  target text primary key,
  max_concurrency int default 8,
  connection_string text,
  asynchronous_finish boolean default false,
  default_timeout interval,
  concurrency_track_yielded boolean default false
);

create table async.task (
  task_id bigserial primary key,
  target text references async.target on update cascade on delete cascade,
  priority int default 0,
  entered timestamptz default clock_timestamp(),
  consumed timestamptz,
  processed timestamptz,
  yielded timestamptz,
  finish_status async.finish_status_t,
  source text,
  query text,
  failed boolean,
  processing_error text,
  asynchronous_finish boolean,
  times_up timestamptz,
  task_data jsonb,
  concurrency_pool text,
  manual_timeout interval,
  tracked boolean,
  track_yielded boolean,
  eligible_when timestamptz
);

create type async.task_execution_state_t as enum ('READY', 'RUNNING', 'YIELDED', 'FINISHED');
create function async.task_execution_state(t async.task) returns async.task_execution_state_t language sql immutable as $$
  select case
    when t.processed is not null then 'FINISHED'
    when t.yielded is not null then 'YIELDED'
    when t.consumed is not null then 'RUNNING'
    else 'READY'
  end::async.task_execution_state_t
$$;
create index on async.task (concurrency_pool, priority, entered) where async.task_execution_state(task) = 'READY';
create index on async.task (times_up)
  where async.task_execution_state(task) in ('READY', 'RUNNING', 'YIELDED') and times_up is not null;
create index on async.task (task_id) where async.task_execution_state(task) in ('READY', 'RUNNING', 'YIELDED');

create unlogged table async.worker (
  slot int primary key,
  name text not null unique,
  target text references async.target,
  task_id int,
  running_since timestamptz
);
create table async.concurrency_pool (concurrency_pool text primary key, max_workers int default 8);
create unlogged table async.concurrency_pool_tracker (
  concurrency_pool text primary key, workers int, max_workers int default 8);
create index on async.concurrency_pool_tracker (concurrency_pool, workers, max_workers) where workers < max_workers;
create table async.server_log (
  server_log bigserial primary key, happened timestamptz default clock_timestamp(), level text, message text);
create index on async.server_log (happened);
create unlogged table async.request_latch (request_latch_id bigserial primary key, ready timestamptz);
create index on async.request_latch ((1)) where ready is not null;
create type async.routine_type_t as enum ('STARTUP', 'LOOP');

create view async.v_target as
  select t.*, count(w.task_id) as active_workers
  from async.target t left join async.worker w using (target) group by t.target;
create view async.v_target_status as
  select target, count(*) as tasks_entered_24h from async.task where entered >= now() - interval '1 day' group by target;
create view async.v_candidate_task as
  select t.*, g.connection_string, g.default_timeout, p.max_workers, p.workers, 0::bigint as n
  from async.concurrency_pool_tracker p
  join async.task t using (concurrency_pool)
  join async.target g on g.target = t.target
  where async.task_execution_state(t) = 'READY';
create view async.v_task_assigned_worker as
  select c.task_id, w.slot from async.v_candidate_task c join async.worker w on w.target = c.target;
create view async.v_worker_info as
  select w.slot, w.target, w.task_id, w.running_since, t.query, t.priority, t.concurrency_pool
  from async.worker w left join async.task t using (task_id);
create view async.v_concurrency_pool_info as
  select p.concurrency_pool, coalesce(k.workers, 0) as workers, p.max_workers
  from async.concurrency_pool p left join async.concurrency_pool_tracker k using (concurrency_pool);
create view async.v_server_info as select c.pid as server_pid, c.enabled, c.paused from async.control c;

create function async.debug_log() returns boolean language sql immutable as 'select debug_log from async.control';
create function async.log(_level text, _message text) returns void language sql as
  'insert into async.server_log (level, message) values (_level, _message)';
create function async.log(_message text) returns void language sql as 'select async.log(''NOTICE'', _message)';
create function async.initialize_workers(g async.control, _startup boolean default false) returns void language sql as
  'insert into async.worker select s, ''async.worker_'' || s from generate_series(1, g.workers) s';
create function async.reinitialize_workers() returns void language plpgsql as 'begin end';
create function async.active_workers() returns bigint language sql stable as
  'select count(*) from async.worker where task_id is not null';
create function async.candidate_tasks(_concurrency_pool text, _limit int) returns setof async.task language sql as
  'select * from async.task t where t.concurrency_pool = _concurrency_pool limit _limit';
create function async.disconnect(_name text, _reason text) returns void language plpgsql as 'begin end';
create function async.wrap_query(_query text, _task_id bigint) returns text language sql immutable as 'select _query';
create function async.set_concurrency_pool_tracker(_pools text[]) returns void language sql as
  'insert into async.concurrency_pool_tracker select unnest(_pools), 0, 4 on conflict do nothing';
create function async.run_tasks(out did_stuff boolean) language plpgsql as $$
declare r async.v_candidate_task; begin did_stuff := false; end $$;
create function async.get_tasks_internal(
  _target text, _limit int default 1, _timeout interval default '30 seconds',
  out task_id bigint, out priority int, out times_up timestamptz, out task_data jsonb)
returns setof record language plpgsql as $$ begin return; end $$;
create function async.check_task_ids(_task_ids bigint[], _context text) returns bigint[] language sql as 'select _task_ids';
create function async.check_orchestrator(_context text) returns void language plpgsql as 'begin end';
create function async.finish_internal(
  _task_ids bigint[], _status async.finish_status_t, _context text, _error_message text, _duration interval)
returns void language plpgsql as 'begin end';
create function async.reap_tasks() returns boolean language sql as 'select false';
create procedure async.maintenance(_did_work boolean) language plpgsql as 'begin end';
create function async.run_internal() returns boolean language sql as 'select false';
create procedure async.do_work(inout did_work boolean default null) language plpgsql as 'begin end';
create function async.push_routine(_routine_type async.routine_type_t, _routine text) returns void language sql as
  'update async.control set loop_routines = loop_routines || _routine';
create function async.clear_latches() returns void language sql as 'update async.request_latch set ready = now()';
create procedure async.acquire_mutex(_lock_id int, _force boolean default false, inout acquired boolean default false)
language plpgsql as 'begin acquired := pg_try_advisory_lock(_lock_id); end';
create procedure async.run_routines(_routine_type async.routine_type_t) language plpgsql as 'begin end';
create procedure async.cycle(inout _last_did_stuff timestamptz default null, inout _show_message boolean default null)
language plpgsql as 'begin end';
-- It holds the lock and its pid as the orchestrator does, until it is terminated.
create procedure async.main(_force boolean default false, _manual_mode boolean default false) language plpgsql as $$
declare
  v_mutex int := (select advisory_mutex_id from async.control);
  v_acquired boolean;
  v_last timestamptz;
  v_show boolean;
begin
  call async.acquire_mutex(v_mutex, _force, v_acquired);
  update async.control set pid = pg_backend_pid(), running_since = clock_timestamp();
  commit;
  while v_acquired loop
    call async.cycle(v_last, v_show);
    commit;
    perform pg_sleep(0.1);
  end loop;
end $$;
create function async.interval_pretty(i interval) returns text language sql strict as 'select i::text';
create function async.worker_info(out worker_info jsonb) language sql as
  'select jsonb_agg(w) from async.worker w';
create function async.tail_once(_server_log_id bigint default null, _grep text default null, _limit int default 1000)
returns setof async.server_log language sql as 'select * from async.server_log limit _limit';
create procedure async.tail(_grep text default null, _limit int default 1000) language plpgsql as 'begin end';
