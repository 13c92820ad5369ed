-- What a server has besides: configuration, the queue's indexes, requests, offers, the log, and what a leader
-- writes down about itself so that the next one can take over.

-- The events of a task. async.step_task computes the row that results.
create type async.task_event_t as enum (
  'CLAIM',        -- the leader takes it, to launch its query
  'GIVE_BACK',    -- claimed but never launched
  'OFFER',        -- the leader holds a pool slot for the client that pulls it
  'WITHDRAW',     -- the offer is taken back
  'TAKE',         -- a client pulled it
  'END_OK',       -- its query ended well
  'END_ERROR',    -- its query failed
  'END_UNKNOWN',  -- its query may have committed: its answer was lost
  'UNREACHABLE',  -- its time is up and its session cannot be reached: the slot stays taken
  'REQUEST',      -- finish, cancel, defer or pause while no query of it runs
  'DEADLINE',     -- its time is up while no query of it runs
  'RESTART'       -- a finished task starts anew
);

-- Heads of the queue, one lane for each pool and target: a full pool or a dead target is skipped as a whole.
create index task_ready on async.task
  ((coalesce(concurrency_pool, target)), target, priority, entered, task_id)
  where consumed is null and processed is null and yielded is null
    and eligible_when is null and query is not null;

-- The same for tasks that clients pull (no query); an offered one (tracked) has left the queue.
create index task_pullable on async.task
  ((coalesce(concurrency_pool, target)), target, priority, entered, task_id)
  where consumed is null and processed is null and yielded is null
    and eligible_when is null and query is null and tracked is distinct from true;

-- Deferred tasks by the time they come back.
create index task_deferred on async.task (eligible_when)
  where eligible_when is not null and processed is null;

-- Every task that was ever claimed and has not ended has a deadline ('infinity' where there is none). One that a
-- trigger turned from EMPTY to YIELDED has none, and is found here too.
create index task_deadline on async.task (times_up)
  where (times_up is not null or yielded is not null) and processed is null;

-- For counts of what came lately. Almost free: one entry for 32 pages.
create index task_entered on async.task using brin (entered) with (pages_per_range = 32);

create table async.target (
  target text primary key,
  max_concurrency int not null default 8,
  connection_string text,
  asynchronous_finish bool not null default false,
  default_timeout interval,
  concurrency_track_yielded bool not null default false,
  session_reset bool not null default true,
  -- Left out of the last configure: refuses new pushes, finishes what it has.
  retired bool not null default false,
  constraint target_max_concurrency_not_negative check (max_concurrency >= 0)
);

create table async.concurrency_pool (
  concurrency_pool text primary key,
  max_workers int not null default 8,
  retired bool not null default false,
  constraint concurrency_pool_max_workers_not_negative check (max_workers >= 0)
);

-- Published by the leader about once a second.
create table async.concurrency_pool_tracker (
  concurrency_pool text primary key,
  workers int,
  max_workers int
);

-- Published by the leader about once a second.
create table async.worker (
  slot int primary key,
  name text not null,
  target text,
  task_id bigint,
  running_since timestamptz
);

create table async.control (
  enabled bool not null default true,
  workers int not null default 20,
  idle_sleep float8 not null default 1.0,
  heavy_maintenance_sleep interval not null default '24 hours',
  task_keep_duration interval not null default '30 days',
  default_timeout interval default '1 hour',
  advisory_mutex_id int not null default 0,
  self_target text not null default 'async.self',
  self_connection_string text not null default 'host=localhost',
  self_concurrency int not null default 4,
  last_heavy_maintenance timestamptz,
  running_since timestamptz,
  paused bool not null default false,
  pid int,
  busy_sleep float8 not null default 0.01,
  light_maintenance_sleep interval not null default '5 minutes',
  last_light_maintenance timestamptz,
  default_concurrency_pool_workers int not null default 4,
  startup_routines text[],
  loop_routines text[],
  version text not null default '0.1.0',
  debug_log bool not null default false,
  target_patience interval not null default '1 minute',
  takeover_grace interval not null default '10 seconds',
  constraint control_workers_positive check (workers > 0),
  -- The engines use at least 3: one for cancels, one for targets never met, one for the rest.
  constraint control_self_concurrency_positive check (self_concurrency > 0)
);
create unique index control_one_row on async.control ((true));
insert into async.control default values;

insert into async.target (target, max_concurrency, connection_string)
select self_target, self_concurrency, self_connection_string from async.control;

create table async.server_log (
  server_log bigserial primary key,
  happened timestamptz not null default clock_timestamp(),
  level text not null,
  message text not null
);
create index server_log_happened on async.server_log (happened);

-- Requests of clients for tasks that only the leader may change. Written in the caller's transaction, deleted in
-- the one that records the outcome.
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

-- Client-pulled tasks that the leader holds a pool slot for, and that no client has taken.
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

-- The present leader, or the last one. One row.
create table async.leader (
  -- Names this server to targets, in application_name. Bound to the cluster and the database, so that a
  -- restored dump gets one of its own.
  server_id text not null,
  system_identifier text not null,
  database_oid oid not null,
  -- Grows with every change of leader.
  epoch bigint not null default 0,
  engine text,
  -- Grows with every rotation of the launch marks; their sentinel must equal it.
  generation bigint not null default 0,
  goodbye bool not null default true,
  -- The epoch that was asked to resign by a forced takeover.
  resign_epoch bigint
);
create unique index leader_one_row on async.leader ((true));

-- Every session that a leader opened at a target, registered before a task may be sent on it.
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

-- Append-only: which claimed tasks were sent. Opens with a sentinel (task_id 0, run = generation); when
-- Postgres crashed it is empty, and then every claimed task counts as launched.
create unlogged table async.launch_mark (
  task_id bigint not null,
  run bigint not null,
  session_id bigint not null
);

-- wait_for_latch: a caller takes the next number, the leader says up to which number it has served.
create sequence async.latch_requested;
create sequence async.latch_served minvalue 0 start 0;
select pg_catalog.setval('async.latch_served', 0, true);

update async.client_control set client_only = false;
