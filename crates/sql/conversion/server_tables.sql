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
