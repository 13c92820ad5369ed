-- pgasync 0.1.0: server part. Generated from crates/sql; edit the objects there.
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
-- Prerequisites of the server part.
do $guard$
begin
  if to_regclass('async.client_control') is null then
    raise exception 'pgasync''s client part is not installed in this database'
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Run async.sql first, then this file';
  end if;
end
$guard$;

-- migrations/0001_server.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0001_server') then
    execute $ddl$
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
$ddl$;
    insert into async.migration (migration) values ('0001_server');
  end if;
end
$migrate$;

-- migrations/0002_watching.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0002_watching') then
    execute $ddl$
-- The outages of targets, and an index for counts of tasks that ended lately.

-- The targets that cannot be reached. The leader publishes them about once a second. Rows of a lost leader stay: the
-- views use the table only while an orchestrator leads, and the next leader replaces the rows.
create table async.target_outage (
  target text primary key,
  since timestamptz not null,
  -- The error of the last attempt, without passwords.
  error text,
  -- The time of the next attempt to connect; null if the engine does not publish it.
  retry_at timestamptz
);

-- For counts of tasks that ended lately, as task_entered is for tasks that were pushed lately: one entry for 32 pages.
-- It costs a task about a microsecond, once (measured).
create index task_processed on async.task using brin (processed) with (pages_per_range = 32)
  where processed is not null;

-- This function has more arguments now.
drop function if exists async.lead_publish(int, int[], text[], bigint[], timestamptz[], text[], int[]);
$ddl$;
    insert into async.migration (migration) values ('0002_watching');
  end if;
end
$migrate$;

-- migrations/0003_events.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0003_events') then
    execute $ddl$
-- A transition travels as an event, which one writer applies (async.write_events).

create type async.event_t as (
  task_id bigint,
  -- The run that the row must be on; null: any.
  run int,
  -- What can happen to a task; async.step_task says what the row becomes:
  --   CLAIM        the leader takes the task, to launch its query
  --   GIVE_BACK    claimed, but never launched
  --   OFFER        the leader holds a pool slot for the client that pulls the task
  --   WITHDRAW     the offer is taken back
  --   TAKE         a client pulled the task
  --   END_OK       the query ended well
  --   END_ERROR    the query failed
  --   END_UNKNOWN  the query may have committed: its answer was lost
  --   UNREACHABLE  the time is up and the session cannot be reached: the slot stays taken
  --   REQUEST      finish, cancel, defer or pause while no query of the task runs
  --   DEADLINE     the time is up while no query of the task runs
  --   RESTART      a finished task starts anew
  --   PROMOTE      a deferral is over
  --   RELEASE      the slot of a finished task is free: its session is known to be gone
  event text,
  -- When it happened.
  at timestamptz,
  -- REQUEST: the request's; END_*: that of the intention that stood, null: none.
  status async.finish_status_t,
  -- The request's or the intention's.
  message text,
  -- END_ERROR: the query's error; END_UNKNOWN, UNREACHABLE: what is known.
  known text,
  duration interval,
  -- CLAIM, TAKE, OFFER, GIVE_BACK: what target or configuration allows; null: for ever.
  timeout interval,
  -- Requests that the event settles.
  requests bigint[]
);

-- Finished tasks that hold a slot, since their sessions are not known to be gone.
create index task_slot_kept on async.task (task_id) where processed is not null and tracked;

-- What the writer replaces, or what has other arguments now.
drop function if exists
  async.step_task(async.task, async.task_event_t, async.finish_status_t, text, interval, interval, timestamptz),
  async.due_tasks(timestamptz),
  async.end_error(async.task_event_t, async.finish_status_t, text, text),
  async.next_rows(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.apply_batch(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.apply_all(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.apply_row(timestamptz, bigint, int, async.task_event_t, async.finish_status_t, text, interval, interval),
  async.apply_events(timestamptz, bigint[], int[], async.task_event_t[], async.finish_status_t[], text[], interval[],
    interval[]),
  async.withdraw_offers(bigint[]),
  async.promote_tasks(bigint[]),
  async.claimed_rows(bigint[]),
  async.take_offers(text, int, interval),
  async.park(bigint, text, text, timestamptz),
  async.lead_rotate_marks(bigint[]),
  async.lead_mark(bigint[], int[], bigint[]),
  async.lead_give_back(timestamptz, bigint[], int[]),
  async.lead_write(timestamptz, bigint[], int[], text[], text[], text[], interval[], interval[], bigint[], bigint[],
    bigint[]),
  async.lead_free_slots(bigint[], int[]),
  async.lead_offer(timestamptz, bigint[]),
  async.lead_heads(text[], text[], bool[], int[], bigint[]);
drop type async.task_event_t;
$ddl$;
    insert into async.migration (migration) values ('0003_events');
  end if;
end
$migrate$;

-- migrations/0004_sessions.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0004_sessions') then
    execute $ddl$
-- Elections, and what is known of the servers where sessions were opened.

-- Every election of a leader. Epoch and nonce are part of the names of the leader's sessions at targets: a session with
-- an epoch and a nonce that are not here was opened by a copy of this server, or this server is the copy.
create table async.election (
  epoch bigint not null,
  nonce text not null,
  elected timestamptz not null default clock_timestamp(),
  -- The server that it took place on. The address is null behind a Unix socket; what may not be read is null.
  address text,
  port int,
  timeline int,
  system_identifier text,
  server_started timestamptz,
  -- By these it is another server than at the election before: the original of a copy, or the primary before a
  -- failover, may still use the sessions of older epochs.
  moved bool not null default false,
  constraint election_key primary key (epoch, nonce)
);

-- Up to now names had no nonce.
insert into async.election (epoch, nonce)
select l.epoch, '' from async.leader l union select s.epoch, '' from async.session s;

alter table async.session
  -- What the session's server said of itself; what may not be read is null, as are address and port behind a socket.
  add column server_started timestamptz,
  add column server_address text,
  add column server_port int,
  add column system_identifier text,
  add column timeline int,
  -- An operator says that it is gone, or that nothing is to wait for it any more.
  add column written_off bool not null default false,
  -- Since when it cannot be ended, and what the last attempt said, without passwords.
  add column lost_since timestamptz,
  add column lost_error text;

-- Have other arguments or results now.
drop function if exists async.raise_epoch(text);
drop function if exists async.end_sessions(bigint[], text);
$ddl$;
    insert into async.migration (migration) values ('0004_sessions');
  end if;
end
$migrate$;

-- migrations/0005_lanes.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0005_lanes') then
    execute $ddl$
-- A lane, the queue of a pool at a target, as async.plan_claims takes it.
create type async.lane_t as (
  pool text,
  target text,
  -- Whether its tasks have no query, and are offered to clients.
  pullable bool,
  -- The position in the queue's order behind which to look.
  after_priority int,
  after_entered timestamptz,
  after_id bigint,
  -- The pool's free slots.
  free int,
  -- How many of the lane may be taken at most; null: any number.
  heads_max int
);

-- Functions that bear other names now, or whose arguments or results do.
drop function if exists
  async.doubt_answers(text),
  async.doubt_everything(),
  async.doubt_launches(),
  async.doubtful_before(),
  async.drop_slot_session(int),
  async.empty_slots(int[]),
  async.fail_impatient(timestamptz),
  async.find_idle_sessions(text[]),
  async.free_lost_slots(bigint[]),
  async.intend(int, timestamptz, async.finish_status_t, text, interval),
  async.leader_write(timestamptz, bigint[], int[], interval[], bigint[], int[], async.event_t[]),
  async.left_alone(bigint),
  async.lose_slot(int),
  async.note_query_error(int, text, text),
  async.park(bigint, text, text, timestamptz),
  async.parked_tasks(timestamptz),
  async.plan_claims(text[], text[], bool[], int[], timestamptz[], bigint[], int[], int[], int, bigint[], timestamptz),
  async.present_conninfo(text),
  async.publish_state(int[], text[], bigint[], timestamptz[], text[], int[], int[], text[], timestamptz[], text[],
    timestamptz[]),
  async.refuse_strangers(text),
  async.register_session(int, text, text),
  async.settle_reset(int, bool, text, text),
  async.suspect_target(text, text),
  async.write_claims(timestamptz, bigint[], int[], int[], text[], text[], int[], timestamptz[], interval[]);
$ddl$;
    insert into async.migration (migration) values ('0005_lanes');
  end if;
end
$migrate$;

-- migrations/0006_write_transaction.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0006_write_transaction') then
    execute $ddl$
-- A claim of the SQL engine: the task, its run before the claim, the worker that is to run it, and its place in the
-- queue.
create type async.claim_t as (
  task_id bigint,
  run int,
  worker int,
  pool text,
  target text,
  priority int,
  entered timestamptz,
  timeout interval
);

-- A session with a target, as a leader in another process registers it.
create type async.registration_t as (
  slot int,
  target text,
  connection_string text,
  role text,
  pid int,
  -- Times as the target wrote them: UTC, with microseconds.
  backend_start text,
  server_started text,
  server_address text,
  server_port int,
  system_identifier text,
  timeline int
);

-- Functions whose arguments differ now.
drop function if exists
  async.write_all(bigint[], int[], timestamptz[], interval[], bigint[], int[], timestamptz[], async.event_t[], bool,
    bool),
  async.write_claims(timestamptz, bigint[], int[], int[], text[], text[], int[], timestamptz[], interval[]),
  async.lead_publish(int, int[], text[], bigint[], timestamptz[], text[], int[], text[], timestamptz[], text[]);
$ddl$;
    insert into async.migration (migration) values ('0006_write_transaction');
  end if;
end
$migrate$;

-- migrations/0007_renamed_functions.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0007_renamed_functions') then
    execute $ddl$
-- Functions that have other names now. Views call this one, so it cannot be dropped.
do $rename$
begin
  if pg_catalog.to_regprocedure('async.someone_leads()') is not null then
    alter function async.someone_leads() rename to leader_exists;
  end if;
end
$rename$;

drop function if exists
  async.open_self_sessions(),
  async.close_stale_sessions(),
  async.expire_target_patience(timestamptz),
  async.why_not_ended(bigint),
  async.row_as_it_is(bigint),
  async.resting_tasks(),
  async.due_resting_tasks(timestamptz, int),
  async.note_touched(bigint[]),
  async.take_touched(),
  async.touched_rows();
$ddl$;
    insert into async.migration (migration) values ('0007_renamed_functions');
  end if;
end
$migrate$;

-- migrations/0008_search_paths.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0008_search_paths') then
    execute $ddl$
-- The schemas in which triggers on async.task and routines find unqualified names. The end of the installation
-- sets it.
alter table async.control add column trigger_search_path text[];

-- This function has other arguments now.
drop function if exists async.check_constraints(text);
$ddl$;
    insert into async.migration (migration) values ('0008_search_paths');
  end if;
end
$migrate$;

-- migrations/0009_server_grants.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0009_server_grants') then
    execute $ddl$
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
$ddl$;
    insert into async.migration (migration) values ('0009_server_grants');
  end if;
end
$migrate$;

-- migrations/0010_limits.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0010_limits') then
    execute $ddl$
-- New requests have their messages cut at 64 KiB.
update async.request set error_message = pg_catalog.left(error_message, 16384)
where pg_catalog.octet_length(error_message) > 65536;

-- Functions whose results differ now.
drop function if exists
  async.lead_mark(bigint, bigint[], int[], bigint[]),
  async.read_identity(text);
$ddl$;
    insert into async.migration (migration) values ('0010_limits');
  end if;
end
$migrate$;

-- migrations/0011_election.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0011_election') then
    execute $ddl$
-- The backend that leads, and the advisory lock that it holds. Only the owner can read and lock the row. A candidate
-- locks it, so one candidate at a time decides whether there is a leader. Each election draws a new key, so no other
-- role can hold the lock before the leader does.
create table async.leader_lock (
  pid int not null,
  key bigint not null
);
-- A leader of the version before holds the lock of advisory_mutex_id, and leads until it ends.
insert into async.leader_lock (pid, key)
select
  coalesce((
    select l.pid
    from pg_catalog.pg_locks l
    where l.pid = c.pid and l.locktype = 'advisory' and l.granted and l.mode = 'ExclusiveLock' and l.objsubid = 1
      and l.classid::bigint << 32 | l.objid::bigint = c.advisory_mutex_id
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    limit 1), 0),
  c.advisory_mutex_id
from async.control c;

-- Calls of async.configure wait for each other here. Only the owner can take the lock.
create table async.configuration_lock ();

-- This function has other arguments now.
drop function if exists async.watch_leader(int, int);
$ddl$;
    insert into async.migration (migration) values ('0011_election');
  end if;
end
$migrate$;

-- migrations/0012_wake_up.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0012_wake_up') then
    execute $ddl$
-- Whether the leader sleeps: 1 while pushes and requests notify it, 0 while it polls. A sequence,
-- because its value is read and written outside of transactions: it leaves no old versions behind,
-- and no other role can lock it. It begins with 1: an orchestrator of an earlier version that leads
-- meanwhile listens too.
create sequence async.leader_sleep minvalue 0 maxvalue 1 start 1;

-- This function has other arguments now.
drop function if exists async.await_work(timestamptz);
$ddl$;
    insert into async.migration (migration) values ('0012_wake_up');
  end if;
end
$migrate$;

-- migrations/0013_max_sessions.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0013_max_sessions') then
    execute $ddl$
-- The most sessions that the leader has at a target, over all pools. Null is no limit.
alter table async.target add column max_sessions int
  constraint target_max_sessions_positive check (max_sessions > 0);
$ddl$;
    insert into async.migration (migration) values ('0013_max_sessions');
  end if;
end
$migrate$;

-- migrations/0014_arrivals.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0014_arrivals') then
    execute $ddl$
-- The waiting tasks by the transaction that made them READY, so that a poll reads only the new ones.
create index task_arrived on async.task (arrived)
  where consumed is null and processed is null and yielded is null and eligible_when is null;

drop function if exists async.lead_heads(text[], text[], bool[], int[]);
$ddl$;
    insert into async.migration (migration) values ('0014_arrivals');
  end if;
end
$migrate$;

-- migrations/0015_results.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0015_results') then
    execute $ddl$
-- It returns more columns than before.
drop function if exists async.read_results(text);
$ddl$;
    insert into async.migration (migration) values ('0015_results');
  end if;
end
$migrate$;

-- migrations/0016_upkeep.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0016_upkeep') then
    execute $ddl$
-- The state of the upkeep in its session.
create type async.upkeep_t as (
  -- When the pass over the history began; null: none is under way.
  pass_began timestamptz,
  -- The last task_id that the pass has looked at.
  after bigint,
  -- The rows at the end of the pass so far that entered too late to be old.
  young_rows bigint,
  -- The size of the next step of the history.
  rows int,
  -- Rows of async.task that were written since its last vacuum, and since that of the other tables.
  writes bigint,
  small_writes bigint,
  -- The statement that is due, and when the running one began.
  vacuum text,
  vacuum_began timestamptz,
  -- No vacuum before these times: of any table, and of the tables other than async.task.
  vacuum_after timestamptz,
  small_after timestamptz
);

-- They moved to the upkeep, or return something else now.
drop function if exists
  async.lead_maintain(timestamptz, bigint, bigint),
  async.delete_history(bigint, timestamptz, int),
  async.delete_tasks(bigint[], timestamptz, text),
  async.start_vacuum();
$ddl$;
    insert into async.migration (migration) values ('0016_upkeep');
  end if;
end
$migrate$;

-- migrations/0017_polls.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0017_polls') then
    execute $ddl$
-- The SQL engine reads what has arrived, and not the fronts of all lanes.
drop function if exists async.refresh_lanes(timestamptz), async.find_idle_sessions(text[]);
$ddl$;
    insert into async.migration (migration) values ('0017_polls');
  end if;
end
$migrate$;

-- migrations/0018_schedules.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0018_schedules') then
    execute $ddl$
-- The times of a schedule, as async.parse_when reads them.
create type async.cron_t as (
  seconds int[],
  minutes int[],
  hours int[],
  days int[],
  months int[],
  -- 0 is Sunday.
  weekdays int[],
  -- The last day of the month, and the last such weekdays.
  last_day bool,
  last_weekdays int[],
  -- A day that one of the two fields of days matches, rather than both.
  either_day bool,
  -- Neither minute nor hour has a *.
  fixed bool,
  -- An interval instead of fields.
  every interval
);
$ddl$;
    insert into async.migration (migration) values ('0018_schedules');
  end if;
end
$migrate$;

-- migrations/0019_push_options.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0019_push_options') then
    execute $ddl$
-- The options of async.push on a server, and the tags of targets.

-- Tasks that wait for a time arrive as well: the leader learns the time.
drop index async.task_arrived;
create index task_arrived on async.task (arrived)
  where arrived is not null and consumed is null and processed is null and yielded is null;

-- The task that has a unique key. The run is zero until the first claim.
create unique index task_unique_key on async.task (target, unique_key)
  where unique_key is not null and processed is null and (unique_while = 'unfinished' or run = 0);

alter table async.target add column tags text[] not null default '{}'
  constraint target_tags_are_texts check (array_position(tags, null) is null);

-- Functions whose results differ now.
drop function if exists
  async.lead_rows(bigint[]),
  async.lead_heads(text[], text[], bool[], int[], int[], timestamptz[], bigint[]),
  async.lead_arrivals(txid_snapshot, int);
$ddl$;
    insert into async.migration (migration) values ('0019_push_options');
  end if;
end
$migrate$;

-- migrations/0020_retries.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0020_retries') then
    execute $ddl$
create table async.retry_policy (
  retry_policy text primary key,
  -- The first attempt included.
  max_attempts int not null default 3
    constraint retry_policy_max_attempts_range check (max_attempts between 1 and 1000),
  -- The delay before the second attempt.
  delay interval not null default '10 seconds'
    constraint retry_policy_delay_not_negative check (delay >= '0'),
  -- Each further delay is this multiple of the one before, in thousandths at most.
  backoff numeric not null default 2
    constraint retry_policy_backoff_range check (backoff between 1 and 100 and round(backoff, 3) = backoff),
  delay_max interval not null default '1 hour'
    constraint retry_policy_delay_max_not_negative check (delay_max >= '0'),
  -- The share of a delay by which the jitter shortens it at most, in thousandths at most.
  jitter numeric not null default 0.1
    constraint retry_policy_jitter_range check (jitter between 0 and 1 and round(jitter, 3) = jitter),
  -- Codes, classes of two characters, and the names transient, any and reported.
  sqlstates text[] not null default '{transient}',
  -- Which other failures are retried.
  timeouts bool not null default false,
  unreachable bool not null default true,
  unknown bool not null default false,
  -- The effects of a task may happen twice.
  may_run_twice bool not null default false
);

-- The policy of tasks that name none. The name none stands for no policy.
alter table async.target add column default_retry text;
alter table async.control add column default_retry text;

-- The attempts of tasks with a policy, except for a success at the first attempt.
create table async.attempt (
  task_id bigint not null,
  run int not null,
  -- From 1 on; a restart begins with 1 again.
  attempt int not null,
  -- The claim; null if the task was not claimed.
  began timestamptz,
  ended timestamptz not null,
  status async.finish_status_t not null,
  error text
);
create index attempt_task on async.attempt (task_id);

create index task_dead on async.task (processed) where retry is not null and failed;

-- They return more columns than before, or take other ones.
drop function if exists async.step_task(async.task, text, async.finish_status_t, text, text, interval, interval,
  timestamptz);
drop function if exists async.next_row(async.event_t);
drop function if exists async.write_all(bigint[], int[], timestamptz[], interval[], bigint[], int[], timestamptz[],
  async.event_t[], bool, bool, bigint);
drop function if exists async.write_events(async.event_t[]);
drop function if exists async.changed_task_rows();
drop function if exists async.lead_rows(bigint[]);
drop function if exists async.lead_heads(text[], text[], bool[], int[], int[], timestamptz[], bigint[]);
drop function if exists async.lead_arrivals(txid_snapshot, int);
drop function if exists async.prepare_push(name, async.scope_t, async.task_push_t[], async.task_run_type_t);
$ddl$;
    insert into async.migration (migration) values ('0020_retries');
  end if;
end
$migrate$;

-- migrations/0022_restarts.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0022_restarts') then
    execute $ddl$
-- A restart takes several tasks.
drop function if exists
  async.restart_now(name, async.scope_t, bigint),
  async.prepare_restart(name, async.scope_t, bigint),
  async.restrict_restarted(bigint, bool);
$ddl$;
    insert into async.migration (migration) values ('0022_restarts');
  end if;
end
$migrate$;

-- migrations/0024_depth_of_claims.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0024_depth_of_claims') then
    execute $ddl$
-- A look at the lanes reads few tasks of each, and more of a lane that is claimed from.
drop function if exists async.plan_claims(async.lane_t[], int, bigint[], timestamptz);
$ddl$;
    insert into async.migration (migration) values ('0024_depth_of_claims');
  end if;
end
$migrate$;

-- migrations/0025_limits_on_starts.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0025_limits_on_starts') then
    execute $ddl$
-- A pool may limit how many of its tasks start in a time.
alter table async.concurrency_pool
  add column starts_max int not null default 0,
  add column interval interval,
  add constraint concurrency_pool_starts_max_is_not_negative check (starts_max >= 0),
  add constraint concurrency_pool_interval_is_positive check (interval > '0'),
  add constraint concurrency_pool_starts_have_an_interval check (starts_max = 0 or interval is not null);
$ddl$;
    insert into async.migration (migration) values ('0025_limits_on_starts');
  end if;
end
$migrate$;

-- migrations/0026_waiting_deadlines.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0026_waiting_deadlines') then
    execute $ddl$
-- The deadlines of unfinished tasks that run no query. A plain task is never in it, so it leaves no entries here
-- while an old snapshot is held. Two columns, so that no other index gives the order.
create index task_waiting_deadline on async.task (times_up, task_id)
  where (times_up is not null or yielded is not null) and processed is null
    and (consumed is null or yielded is not null or query is null);
$ddl$;
    insert into async.migration (migration) values ('0026_waiting_deadlines');
  end if;
end
$migrate$;

-- migrations/0026_schedules.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0026_schedules') then
    execute $ddl$
-- Schedules: queries that the leader pushes at given times.
create table async.schedule (
  schedule text primary key,
  -- The role whose grants count when it fires.
  owner regrole not null,
  -- async.next_time reads it in this zone.
  "when" text not null,
  time_zone text not null,
  query text,
  -- A target, or tag:NAME.
  target text not null,
  -- What happens while a task of the schedule at the target is unfinished.
  overlap text not null
    constraint schedule_overlap_known check (overlap in ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow_all')),
  -- Which times fire later when no leader could fire them in time.
  catch_up text not null
    constraint schedule_catch_up_known check (catch_up in ('none', 'last', 'all')),
  -- Options of the pushes.
  priority int,
  concurrency_pool text,
  timeout interval,
  task_data jsonb,
  track_yielded bool,
  source text,
  retry text,
  expires_after interval
    constraint schedule_expires_after_positive check (expires_after > '0'),
  -- async.configure has made it.
  configured bool not null default false,
  paused bool not null default false,
  -- All times up to this one are decided: they have fired, wait in async.schedule_wait, or have passed.
  last_time timestamptz not null,
  -- The first time after last_time.
  next_time timestamptz not null,
  -- When the leader looks at the row: at next_time, or earlier while a time waits. Null while paused.
  look_at timestamptz,
  last_fired timestamptz,
  last_task_id bigint,
  last_skipped timestamptz,
  last_refused timestamptz,
  last_refusal text,
  -- When last_refusal was written to the log.
  refusal_logged timestamptz,
  constraint schedule_catches_up_with_all_only_what_may_wait
    check (catch_up <> 'all' or overlap in ('buffer_all', 'allow_all')),
  constraint schedule_next_time_is_later check (next_time > last_time),
  constraint schedule_paused_is_not_looked_at check (paused = (look_at is null))
);
create index schedule_look_at on async.schedule (look_at) where look_at is not null;
-- For a clock that was set back.
create index schedule_last_time on async.schedule (last_time);

-- Times that wait for the end of the unfinished task of their schedule at their target.
create table async.schedule_wait (
  schedule text not null
    constraint schedule_wait_of_schedule references async.schedule on delete cascade,
  target text not null,
  scheduled_for timestamptz not null,
  constraint schedule_wait_key primary key (schedule, target, scheduled_for)
);

-- The unfinished tasks of a schedule.
create index task_of_schedule on async.task (schedule, target)
  where schedule is not null and processed is null;

-- The first returns the time of the next firing, too. The second makes schedules for its caller.
drop function if exists async.lead_sweep(timestamptz, int, bigint[]);
drop function if exists async.apply_configuration(jsonb, bool);
$ddl$;
    insert into async.migration (migration) values ('0026_schedules');
  end if;
end
$migrate$;

-- migrations/0027_results.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0027_results') then
    execute $ddl$
-- END_OK of a task with keep_result_for: the answer of the target (async.keep_query), or why there is
-- none.
alter type async.event_t add attribute result text;

-- The most bytes of the rows of one task, as JSON in UTF-8.
alter table async.control add column result_bytes_max int not null default 1048576
  constraint control_result_bytes_max_range check (result_bytes_max between 1024 and 16777216);

-- It returns one column more.
drop function if exists async.lead_mark(bigint, bigint[], int[], bigint[]);
-- It checks the tasks as well.
drop function if exists async.refuse_options(async.push_options_t[]);
$ddl$;
    insert into async.migration (migration) values ('0027_results');
  end if;
end
$migrate$;

-- migrations/0028_receipts.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0028_receipts') then
    execute $ddl$
-- The receipts that runs may have written at targets. A row is written with the launch mark, and unlike it
-- survives a crash: a claimed task with the option receipt that has none for its run was not launched.
create table async.receipt (
  task_id bigint,
  run int,
  -- The rest of the key at the target.
  server_id text not null,
  election text not null,
  -- The session of the run in async.session.
  session_id bigint not null,
  target text not null,
  marked timestamptz not null default clock_timestamp(),
  constraint receipt_key primary key (task_id, run)
);
create index receipt_session on async.receipt (session_id);
create index receipt_marked on async.receipt (target, marked);

alter table async.target add column receipts bool not null default false;
-- How long receipts stay at their targets after their tasks have ended.
alter table async.control add column receipt_keep interval not null default '7 days'
  constraint control_receipt_keep_not_negative check (receipt_keep >= '0');
alter table async.schedule add column receipt bool;

-- The role that wrote the session off.
alter table async.session add column written_off_by text;
-- The session is known to be gone, and stays for the receipt of a run that is not recorded.
alter table async.session add column settled bool not null default false;

-- They return another column, or have another argument.
drop function if exists async.lead_mark(bigint, bigint[], int[], bigint[]);
drop function if exists async.lead_rows(bigint[]);
drop function if exists async.lead_heads(text[], text[], bool[], int[], int[], timestamptz[], bigint[]);
drop function if exists async.lead_arrivals(txid_snapshot, int);
drop function if exists async.orphan_event(bigint, int, bool, bool, text, timestamptz);
drop function if exists async.schedule(text, text, text, text, text, text, text, int, text, interval, jsonb, bool, text,
  text, interval);
$ddl$;
    insert into async.migration (migration) values ('0028_receipts');
  end if;
end
$migrate$;

-- migrations/0029_ended_by.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0029_ended_by') then
    execute $ddl$
-- The role that logged in to the server for the request. Null for one of the engine, and for requests from
-- before.
alter table async.request add column requested_by text;
alter table async.request alter column requested_by set default session_user;
-- REQUEST: the role that made it; END_*, UNREACHABLE: that of the request of the intention.
alter type async.event_t add attribute requested_by text;
-- The role whose request ended the attempt.
alter table async.attempt add column ended_by text;

-- They return another column, or have another argument.
drop function if exists async.step_task(async.task, text, async.finish_status_t, text, text, interval, interval,
  timestamptz);
drop function if exists async.write_all(bigint[], int[], timestamptz[], interval[], bigint[], int[], timestamptz[],
  async.event_t[], bool, bool, bigint);
drop function if exists async.write_events(async.event_t[]);
drop function if exists async.changed_task_rows();
drop function if exists async.lead_rows(bigint[]);
drop function if exists async.set_intention(int, timestamptz, async.finish_status_t, text, interval);
$ddl$;
    insert into async.migration (migration) values ('0029_ended_by');
  end if;
end
$migrate$;

-- migrations/0029_paused.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0029_paused') then
    execute $ddl$
-- No task of a paused target or pool starts. A state of the operation, which a document that does not name it
-- leaves as it is.
alter table async.target add column paused bool not null default false;
alter table async.concurrency_pool add column paused bool not null default false;
$ddl$;
    insert into async.migration (migration) values ('0029_paused');
  end if;
end
$migrate$;

-- migrations/0030_tail.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0030_tail') then
    execute $ddl$
-- async.tail takes a third argument.
drop procedure if exists async.tail(text, int);
$ddl$;
    insert into async.migration (migration) values ('0030_tail');
  end if;
end
$migrate$;

-- migrations/0032_metrics.sql
do $migrate$
begin
  if not exists (select from async.migration where migration = '0032_metrics') then
    execute $ddl$
-- The counters of the leader (docs/decisions/2026-11-29-metrics.md). It publishes them every few seconds if they
-- have changed. async.v_metric shows them.
create table async.metric (
  metric text not null,
  labels jsonb not null,
  -- The epoch of the leader that counted. The next leader begins with zero.
  epoch bigint not null,
  -- The count. For a histogram the sum of all observations.
  value float8 not null,
  -- For a histogram the observations in each bucket (async.metric_bounds); one more than the bounds.
  buckets bigint[],
  constraint metric_pkey primary key (metric, labels)
) with (fillfactor = 50);
$ddl$;
    insert into async.migration (migration) values ('0032_metrics');
  end if;
end
$migrate$;

-- election/is_advisory_lock
-- Purpose: whether a row of pg_locks is the exclusive advisory lock with this key in this database,
--   and is granted.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_advisory_lock(in_lock pg_locks, in_key bigint)
returns bool
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select in_lock.locktype = 'advisory' and in_lock.granted and in_lock.mode = 'ExclusiveLock'
    and in_lock.objsubid = 1
    and in_lock.classid::bigint << 32 | in_lock.objid::bigint = in_key
    and in_lock.database = (select d.oid from pg_database d where d.datname = current_database())
$function$;

-- election/random_key
-- Purpose: draws the key of an advisory lock that no session holds.
-- Returns: the key.
-- Raises: nothing.
-- Locks: none.
create or replace function async.random_key()
returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $function$
  select ('x' || left(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text), 16))::bit(64)::bigint
$function$;

-- leader/election/leader_pid
-- Purpose: the pid of the backend that leads in this database: the one that the last election
--   recorded, as long as it holds the lock whose key that election drew, and its role is a member of
--   the owner. The session of another role may get the pid of a leader that crashed, and take the
--   lock.
-- Returns: the pid; null when no orchestrator leads.
-- Raises: nothing.
-- Locks: none.
create or replace function async.leader_pid()
returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select k.pid
    from async.leader_lock k
    join pg_locks l on l.pid = k.pid and async.is_advisory_lock(l, k.key)
    cross join pg_stat_get_activity(k.pid) a
    where pg_has_role(a.usesysid, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage')
    limit 1);
end
$function$;

-- leader/election/mutex_holder
-- Purpose: another session that holds the lock of advisory_mutex_id, of a role that is a member of
--   the owner. The sessions of other roles do not count.
-- Returns: its pid, or null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.mutex_holder()
returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select l.pid
    from async.control c
    join pg_locks l on l.pid <> pg_backend_pid() and async.is_advisory_lock(l, c.advisory_mutex_id)
    cross join pg_stat_get_activity(l.pid) a
    where pg_has_role(a.usesysid, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage')
    limit 1);
end
$function$;

-- log/visible_text
-- Purpose: escapes a text for the log. Names, messages and queries may contain line breaks and
--   escape sequences of terminals, which could forge lines or hide text.
-- Returns: the text in one line: control characters, line separators and marks that change the
--   direction of writing (Bidi_Control of Unicode) are escaped as in an E'' literal; null for null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.visible_text(in_text text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- Characters above 127 have these numbers in UTF8 only.
  c_hidden constant text := E'\\u0001-\\u001f\\u007f' || case when getdatabaseencoding() = 'UTF8'
    then E'\\u0080-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069' else '' end;
begin
  if in_text is null or in_text !~ ('[' || c_hidden || ']') then
    return in_text;
  end if;
  return (
    select string_agg(
      case
        when m.part[1] is not null then m.part[1]
        when m.part[2] = E'\n' then E'\\n'
        when m.part[2] = E'\r' then E'\\r'
        when m.part[2] = E'\t' then E'\\t'
        else E'\\u' || lpad(to_hex(ascii(m.part[2])), 4, '0')
      end, '' order by m.position)
    from regexp_matches(in_text, '([^' || c_hidden || ']+)|([' || c_hidden || '])', 'g')
      with ordinality as m(part, position));
end
$function$;

-- log/log_quiet
-- Purpose: writes a line to server_log and raises nothing. A DEBUG line is written only while
--   control.debug_log is set. Passwords in connection strings are masked, and control characters are
--   escaped. While the log is locked, lines are dropped.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.log_quiet(in_level text, in_message text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_level = 'DEBUG' and not (select c.debug_log from async.control c) then
    return;
  end if;
  insert into async.server_log (level, message)
  values (in_level, async.visible_text(coalesce(async.mask_text(in_message), '')));
exception when lock_not_available then
  null;
end
$function$;

-- log/log
-- Purpose: writes a line to server_log and raises it to the caller at its level: NOTICE, WARNING,
--   INFO, DEBUG (written only while control.debug_log is set), ERROR. An error is written over a
--   separate connection, so that it survives the rollback of the caller, and then raised.
-- Returns: nothing.
-- Raises: PA070 for ERROR, PA071 for another level.
-- Locks: none that others wait for.
create or replace function async.log(_level text, _message text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_level text := upper(_level);
  v_message text := async.visible_text(coalesce(async.mask_text(_message), ''));
begin
  if v_level is null or v_level not in ('NOTICE', 'WARNING', 'INFO', 'DEBUG', 'ERROR') then
    raise exception 'there is no log level %', coalesce(quote_literal(_level), 'null')
      using errcode = 'PA071', hint = 'The levels are NOTICE, WARNING, INFO, DEBUG and ERROR.';
  end if;
  if v_level = 'ERROR' then
    begin
      perform public.dblink_exec(
        async.extend_conninfo(async.self_conninfo(), '{"connect_timeout": "2"}'),
        format('insert into async.server_log (level, message) values (''ERROR'', %L)', v_message));
    exception
      when others then
        raise warning 'the following error could not be logged: %', async.mask_text(sqlerrm);
    end;
    raise exception '%', v_message using errcode = 'PA070';
  end if;
  perform async.log_quiet(v_level, v_message);
  if v_level = 'WARNING' then
    raise warning '%', v_message;
  elsif v_level = 'INFO' then
    raise info '%', v_message;
  elsif v_level = 'DEBUG' then
    raise debug '%', v_message;
  else
    raise notice '%', v_message;
  end if;
end
$function$;

-- Purpose: async.log('NOTICE', _message).
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.log(_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.log('NOTICE', _message)
$function$;

-- log/tail_once
-- Purpose: the lines of the log after a line; without one, the newest 100. _grep keeps the lines
--   that contain it.
-- Returns: at most _limit lines, the oldest first.
-- Raises: nothing. Locks: none.
create or replace function async.tail_once(
  _server_log_id bigint default null,
  _grep text default null,
  _limit int default 1000) returns setof async.server_log
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select n.*
  from (
    select l.*
    from async.server_log l
    where _server_log_id is null and (_grep is null or position(_grep in l.message) > 0)
    order by l.server_log desc
    limit least(100, _limit)
  ) n
  union all
  select n.*
  from (
    select l.*
    from async.server_log l
    where l.server_log > _server_log_id and (_grep is null or position(_grep in l.message) > 0)
    order by l.server_log
    limit _limit
  ) n
  order by 1
$function$;

-- log/tail
-- Purpose: shows new lines of the log as notices for the time _for; without it, until it is canceled.
-- Returns: nothing.
-- Raises: PA072 when _for is negative.
-- Locks: none. It commits once a second, so it holds no snapshot. (A procedure with a SET clause
--   cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.tail(
  _grep text default null, _limit int default 1000, _for interval default null)
language plpgsql
as $procedure$
declare
  v_line async.server_log;
  v_last pg_catalog.int8;
  v_until pg_catalog.timestamptz;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if _for < interval '0' then
    raise exception '_for is %, and a time to wait is not negative', _for using errcode = 'PA072';
  end if;
  v_until := clock_timestamp() + _for;
  loop
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    for v_line in select l.* from async.tail_once(v_last, _grep, _limit) l loop
      raise notice '% % %', v_line.happened, v_line.level, v_line.message;
      v_last := v_line.server_log;
    end loop;
    -- The log is empty: every line is new from here on.
    v_last := coalesce(v_last, 0);
    exit when clock_timestamp() >= v_until;
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform pg_sleep(least(1, extract(epoch from coalesce(v_until - clock_timestamp(), interval '1 second'))::float8));
  end loop;
end
$procedure$;

-- install/schema_fingerprint
-- Purpose: the fingerprint of the texts that this schema was installed from
--   (pgasync_sql::FINGERPRINT). Leaders and binaries compare it with their own, and end with PA213
--   when another version was installed.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.schema_fingerprint()
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select '7d54daa7e6720aea'::text
$function$;

-- decide/limits/query_bytes_max
-- Purpose: the limit on the length of a query. A leader keeps the text in memory during its launch.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.query_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 16777216
$function$;

-- decide/limits/task_data_bytes_max
-- Purpose: the limit on the size of task_data, as the table stores it.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.task_data_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 16777216
$function$;

-- decide/limits/push_elements_max
-- Purpose: the limit on the elements of one push.
-- Returns: a number of elements.
-- Raises: nothing.
-- Locks: none.
create or replace function async.push_elements_max()
returns int language sql immutable parallel safe as $function$
  select 1000000
$function$;

-- decide/limits/pools_max
-- Purpose: the limit on the pools in which tasks wait. A leader keeps the state of each in memory.
-- Returns: a number of pools.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pools_max()
returns int language sql immutable parallel safe as $function$
  select 20000
$function$;

-- decide/limits/name_bytes_max
-- Purpose: the limit on the length of the name of a target or a pool, and of the source of a push.
-- Returns: a number of bytes.
-- Raises: nothing.
-- Locks: none.
create or replace function async.name_bytes_max()
returns int language sql immutable parallel safe as $function$
  select 255
$function$;

-- decide/limits/unique_key_bytes_max
-- Purpose: the limit on the length of a unique key, in bytes. With the name of the target it fits an
--   entry of an index.
-- Returns: int.
-- Raises: nothing.
-- Locks: none.
create or replace function async.unique_key_bytes_max() returns int
language sql immutable parallel safe as $function$
  select 1024
$function$;

-- decide/limits/unique_key_wait_max
-- Purpose: the time that a push waits for another transaction that holds one of its unique keys, if the
--   caller has set no lock_timeout.
-- Returns: a value for lock_timeout.
-- Raises: nothing.
-- Locks: none.
create or replace function async.unique_key_wait_max() returns text
language sql immutable parallel safe as $function$
  select '10s'
$function$;

-- decide/limits/answer_bytes_max
-- Purpose: the limit on what a target answers for a task whose rows are kept, for a limit on its rows:
--   base64 takes four bytes for three, and the rest of the object is short.
-- Returns: bytes.
-- Raises: nothing. Locks: none.
create or replace function async.answer_bytes_max(in_result_bytes_max int) returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_result_bytes_max / 3 * 4 + 4096
$function$;

-- decide/limits/refuse_query
-- Purpose: the reason why a leader does not launch the query of a row, by its length. A push refuses
--   such a query, so only an update can make one.
-- Returns: the error of the task; null when the query may be launched.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refuse_query(in_bytes int)
returns text language sql immutable as $function$
  select case
    when in_bytes is null then 'the query of the task is gone'
    when in_bytes > async.query_bytes_max() then pg_catalog.format(
      'PA017: the query has %s bytes, and may have %s', in_bytes, async.query_bytes_max())
  end
$function$;

-- install/untrusted_schemas
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

-- install/bind_trigger_path
-- Purpose: sets the search path of the functions that fire user triggers or run routines to
--   control.trigger_search_path. The installation of each part ends with it, because the replacement
--   of a function resets its path. The first installation takes the path of the installer, without
--   the schemas in which PUBLIC or a client may create objects. pg_temp comes last, so that a
--   temporary table of the caller hides no other table.
-- Returns: nothing. A warning names the schemas that were left out, or that should be.
-- Raises: no error of class PA.
-- Locks: the catalog rows that it changes, the row of async.control.
create or replace function async.bind_trigger_path(in_installer_schemas text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_functions constant name[] := '{push_as,insert_pushed,push_scheduled,write_row,restrict_restarted,check_constraints,
    delete_tasks,call_routine}';
  v_path text[] := (select c.trigger_search_path from async.control c);
  v_untrusted text[] := async.untrusted_schemas(coalesce(v_path, in_installer_schemas));
  v_function regprocedure;
begin
  if v_path is null then
    v_path := array(
      select s.name
      from unnest(in_installer_schemas) with ordinality as s(name, position)
      where s.name <> all (v_untrusted) and s.name <> all ('{pg_catalog,pg_temp}')
      order by s.position);
    update async.control set trigger_search_path = v_path;
    if v_untrusted <> '{}' then
      raise warning 'triggers on async.task and routines do not find objects of the schema % by their bare names',
          array_to_string(v_untrusted, ', ')
        using detail = 'Other roles may create objects there, which could run as the owner of the schema async.',
          hint = 'Write the schema in front of such names; or revoke create on the schema from the others, '
            'then: select async.set_trigger_search_path(...)';
    end if;
  elsif v_untrusted <> '{}' then
    raise warning 'other roles may create objects in the schema %, which is on the search path of triggers and routines',
        array_to_string(v_untrusted, ', ')
      using detail = 'Such an object could run as the owner of the schema async.',
        hint = 'Revoke create on the schema from them, or: select async.set_trigger_search_path(...)';
  end if;
  for v_function in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'async'::regnamespace and p.proname = any (c_functions)
    order by p.oid
  loop
    execute format('alter function %s set search_path = %s', v_function,
      (select string_agg(quote_ident(s.name), ', ' order by s.position)
        from unnest(v_path || '{pg_temp}') with ordinality as s(name, position)));
  end loop;

  -- During an upgrade the function of an earlier version has bound what that version bound.
  for v_function in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'async'::regnamespace and p.proname = 'push_tasks'
      and not 'search_path=pg_catalog, pg_temp' = any (p.proconfig)
    order by p.oid
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', v_function);
  end loop;
end
$function$;

-- configure/set_trigger_search_path
-- Purpose: sets the schemas in which triggers on async.task and routines find unqualified names.
--   Only the owner may call it: triggers and routines run as the owner, so a role that may create
--   objects in one of these schemas can run code as the owner.
-- Returns: nothing. A warning names schemas in which PUBLIC or a client may create objects.
-- Raises: PA061 for a schema that does not exist.
-- Locks: the row of async.control, and the catalog rows of the functions.
create or replace function async.set_trigger_search_path(variadic _schemas text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_missing text;
begin
  select s.name into v_missing
  from unnest(_schemas) with ordinality as s(name, position)
  where not exists (select from pg_namespace n where n.nspname = s.name) and s.name is distinct from 'pg_temp'
  order by s.position
  limit 1;
  if found then
    raise exception 'there is no schema %', coalesce(quote_literal(v_missing), 'null')
      using errcode = 'PA061', hint = 'Name schemas that exist: select async.set_trigger_search_path(''public'')';
  end if;
  update async.control
  set trigger_search_path = array(
    select s.name
    from unnest(_schemas) with ordinality as s(name, position)
    where s.name not in ('pg_catalog', 'pg_temp')
    order by s.position);
  perform async.bind_trigger_path('{}');
end
$function$;

-- decide/retries/is_retried_sqlstate
-- Purpose: whether one of the names of a retry policy stands for a SQLSTATE: the code itself, its
--   class (the first two characters), any, or transient (class 08, class 40 but 40003, class 53,
--   55P03, 57P01 to 57P03, and PA216, a lost run whose receipt was voided).
-- Returns: bool; false without a SQLSTATE.
-- Raises: nothing. Locks: none.
create or replace function async.is_retried_sqlstate(in_sqlstates jsonb, in_sqlstate text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return in_sqlstate is not null and coalesce(
    in_sqlstates ? in_sqlstate or in_sqlstates ? left(in_sqlstate, 2) or in_sqlstates ? 'any'
      or in_sqlstates ? 'transient'
        and (left(in_sqlstate, 2) in ('08', '40', '53') and in_sqlstate <> '40003'
          or in_sqlstate in ('55P03', '57P01', '57P02', '57P03', 'PA216')),
    false);
end
$function$;

-- decide/retries/retry_delay
-- Purpose: decides whether a failed attempt is retried, and after which delay. in_retry is the
--   policy in the row of the task, in_attempt the number of the attempt that failed. in_failure is
--   error (in_error begins with the SQLSTATE), reported (a request said FAILED), timeout,
--   unreachable (the query was never sent), unknown (the query may have committed) or unknown
--   timeout (both). The jitter is a hash of task_id and attempt, so that both engines compute the
--   same delay.
-- Returns: the delay; null if there is no further attempt.
-- Raises: nothing. A policy that was made invalid by hand retries nothing.
-- Locks: none.
create or replace function async.retry_delay(
  in_retry jsonb, in_task_id bigint, in_attempt int, in_failure text, in_error text
) returns interval
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_hash constant bigint := 2654435769;
  v_twice bool;
  v_unknown bool;
  v_timeouts bool;
  v_max numeric;
  v_thousandths numeric;
  v_delay numeric;
  v_hash bigint;
  v_us bigint;
begin
  v_twice := coalesce((in_retry ->> 'may_run_twice')::bool, false);
  v_unknown := coalesce((in_retry ->> 'unknown')::bool, false) and v_twice;
  v_timeouts := coalesce((in_retry ->> 'timeouts')::bool, false);
  if in_attempt >= coalesce((in_retry ->> 'max_attempts')::int, 0)
    -- In parentheses, because the condition ends with the first THEN outside of them.
    or not (case in_failure
      when 'error' then async.is_retried_sqlstate(in_retry -> 'sqlstates', substring(in_error from '^([0-9A-Z]{5}): '))
      when 'reported' then coalesce(in_retry -> 'sqlstates' ? 'reported', false)
      when 'timeout' then v_timeouts
      when 'unknown' then v_unknown
      when 'unknown timeout' then v_unknown and v_timeouts
      when 'unreachable' then coalesce((in_retry ->> 'unreachable')::bool, false)
      else false
    end)
    -- A part of the text may be committed.
    or in_failure <> 'unreachable' and not v_twice and coalesce((in_retry ->> 'commits')::bool, false)
  then
    return null;
  end if;
  v_delay := (in_retry ->> 'delay_us')::numeric;
  v_max := (in_retry ->> 'delay_max_us')::numeric;
  v_thousandths := coalesce((in_retry ->> 'backoff')::numeric, 1) * 1000;
  for v_place in 2 .. in_attempt loop
    exit when v_delay >= v_max or v_thousandths = 1000;
    v_delay := div(v_delay * v_thousandths, 1000);
  end loop;
  v_delay := least(v_delay, v_max);
  v_hash := ((((in_task_id & 1048575) * 2048 + in_attempt) * c_hash) & 4294967295) >> 16;
  v_us := v_delay - div(v_delay * coalesce((in_retry ->> 'jitter')::numeric, 0) * 1000 * v_hash, 65536000);
  return make_interval(hours => (v_us / 3600000000)::int, secs => (v_us % 3600000000)::float8 / 1000000);
exception
  when data_exception then
    return null;
end
$function$;

-- decide/retries/may_commit
-- Purpose: whether a part of a text may be committed when the text fails: transaction control, a
--   procedure or DO block, which may contain it, and what cannot run in a transaction block.
-- Returns: bool; true for a text that is too long to be scanned to its end.
-- Raises: nothing. Locks: none.
create or replace function async.may_commit(in_query text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  -- Most texts are clearly one statement that cannot.
  if in_query is null
    or strpos(rtrim(in_query, E' \t\n\r\f\x0b;'), ';') = 0
      and lower(substring(in_query from E'^[ \\t\\n\\r\\f\\v]*([[:alpha:]]+)'))
        in ('select', 'insert', 'update', 'delete', 'values', 'table', 'with', 'merge')
  then
    return false;
  end if;
  return exists (
    select from async.scan_statements(in_query) s
    where not s.complete
      or s.first_word in ('call', 'do', 'begin', 'start', 'commit', 'end', 'rollback', 'abort', 'prepare', 'vacuum',
        'cluster', 'checkpoint')
      or s.first_word in ('create', 'drop', 'alter', 'reindex')
        and s.statement ~* E'\\m(concurrently|database|tablespace|subscription|system)\\M');
end
$function$;

-- decide/retries/copy_retry_policy
-- Purpose: the retry policy of a task as its row keeps it, so that a later change of the
--   configuration does not change the task. What is absent is false, no jitter (0), or no growth of
--   the delay (1).
-- Returns: jsonb; null if there is no such policy, and for the name none.
-- Raises: nothing. Locks: none.
create or replace function async.copy_retry_policy(in_name text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select jsonb_strip_nulls(jsonb_build_object(
      'name', p.retry_policy,
      'max_attempts', p.max_attempts,
      'delay_us', round(extract(epoch from p.delay)::numeric * 1000000)::bigint,
      'backoff', nullif(p.backoff, 1),
      'delay_max_us', round(extract(epoch from p.delay_max)::numeric * 1000000)::bigint,
      'jitter', nullif(p.jitter, 0),
      'sqlstates', to_jsonb(p.sqlstates),
      'timeouts', nullif(p.timeouts, false),
      'unreachable', nullif(p.unreachable, false),
      'unknown', nullif(p.unknown, false),
      'may_run_twice', nullif(p.may_run_twice, false)))
    from async.retry_policy p
    where p.retry_policy = in_name);
end
$function$;

-- decide/tasks/step_task
-- Purpose: the transition of one task: the row after an event (see async.event_t). Decides and
--   writes nothing. The arguments are those of the event; in_now is the time of the event.
-- Returns: one row. rejected is the reason why nothing changes; otherwise the other columns are the
--   new values of the row.
--   rejected                                          when
--   the task has ended as S; only a restart moves it  FINISHED; neither RESTART nor RELEASE
--   the task has not finished                         RESTART, RELEASE; not FINISHED
--   the task holds no slot                            RELEASE; not tracked
--   the task does not wait                            CLAIM, OFFER, PROMOTE, GIVE_UP; not READY, or
--                                                     PROMOTE, GIVE_UP of an offered task
--   the task is for clients to pull; offer it         CLAIM without a query
--   the task has a query; claim it                    OFFER with a query
--   the task is offered already                       OFFER
--   the task may not run yet                          CLAIM, OFFER, PROMOTE before eligible_when
--   the task waits for no time                        PROMOTE without eligible_when
--   the task's deadline has passed                    CLAIM, OFFER, TAKE at or after times_up
--   the task is not offered                           TAKE, WITHDRAW
--   no query of the task runs                         GIVE_BACK, END_*, UNREACHABLE; not RUNNING
--                                                     with a query
--   a query of the task runs                          REQUEST, DEADLINE; RUNNING with a query
--   the request names no status                       REQUEST
--   DEFERRED needs a duration; say how long the task should wait
--                                                     REQUEST
--   the task's deadline has not come                  DEADLINE, UNREACHABLE before times_up
--   the task has a receipt, which says how it ends    UNREACHABLE
--   there is no such event                            any other name
--   the task has expired; push it anew                RESTART at or after expires_at
--   A task that becomes READY is not eligible before run_at, and times_up is never later than
--   expires_at.
--   The phases (a CHECK cannot state them: they are derived, see async.task_execution_state):
--   phase     becomes
--   READY     RUNNING (CLAIM, TAKE), FINISHED or YIELDED (REQUEST, DEADLINE, GIVE_UP), READY (OFFER,
--             WITHDRAW, PROMOTE, REQUEST, a retry)
--   RUNNING   READY (GIVE_BACK, a deferral, a pause or a retry), YIELDED or FINISHED (END_*,
--             UNREACHABLE; REQUEST and DEADLINE of a pulled task)
--   YIELDED   FINISHED (REQUEST, DEADLINE), READY (a deferral, a pause or a retry)
--   FINISHED  READY (RESTART), FINISHED (RELEASE)
--   A task with a policy whose attempt fails is READY again if async.retry_delay gives a delay.
--   attempt counts the failed attempts. ended_as, ended_with and attempt_ended_by are the status, the
--   error and the role of the attempt that async.attempt notes; null for none.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines the function into the statements that use it.
--   The offsets prevent it from copying a computed value into every column.)
-- (Longer than a screen: one expression, which the planner inlines.)
create or replace function async.step_task(
  t async.task,
  in_event text,
  in_status async.finish_status_t,
  in_message text,
  in_known text,
  in_duration interval,
  in_timeout interval,
  in_requested_by text,
  in_now timestamptz
) returns table (
  rejected text,
  consumed timestamptz,
  processed timestamptz,
  yielded timestamptz,
  finish_status async.finish_status_t,
  failed bool,
  processing_error text,
  times_up timestamptz,
  tracked bool,
  eligible_when timestamptz,
  run int,
  attempt int,
  ended_by text,
  ended_as async.finish_status_t,
  ended_with text,
  attempt_ended_by text
) language sql immutable as $function$
  select
    s.rejected,
    case s.next_phase when 'RUNNING' then in_now when 'READY' then null else t.consumed end,
    case s.next_phase when 'FINISHED' then in_now when 'KEPT' then t.processed end,
    case s.next_phase
      when 'YIELDED' then coalesce(t.yielded, in_now)
      when 'FINISHED' then t.yielded
      when 'KEPT' then t.yielded
    end,
    case s.next_phase
      when 'YIELDED' then s.status
      when 'FINISHED' then s.status
      when 'KEPT' then t.finish_status
    end,
    case s.next_phase when 'FINISHED' then s.status <> 'FINISHED' when 'KEPT' then t.failed end,
    case s.next_phase when 'FINISHED' then s.error when 'KEPT' then t.processing_error end,
    case
      when in_event = 'RESTART' or s.delay is not null then t.expires_at
      -- Before a claim, times_up is null or expires_at.
      when in_event in ('CLAIM', 'TAKE') then least(t.expires_at,
        coalesce(nullif(t.times_up, t.expires_at), in_now + coalesce(t.manual_timeout, in_timeout), 'infinity'))
      -- The deadline of a first claim is removed with the claim. A deadline that a deferral
      -- preserved stays.
      when in_event = 'GIVE_BACK' and t.times_up = least(t.expires_at, coalesce(
          t.consumed + coalesce(t.manual_timeout, in_timeout), 'infinity')) then t.expires_at
      else t.times_up
    end,
    case
      when in_event in ('CLAIM', 'TAKE', 'OFFER') then true
      when in_event = 'RELEASE' then false
      when in_event = 'UNREACHABLE' or s.phase = s.next_phase and s.phase = 'YIELDED' then t.tracked
      when s.next_phase = 'FINISHED' then case when t.tracked then false else t.tracked end
      when s.next_phase = 'YIELDED' then case when t.tracked and t.track_yielded then true end
    end,
    case
      when s.next_phase = 'KEPT' then t.eligible_when
      when in_event = 'OFFER' then null
      when s.next_phase = 'READY' then greatest(
        case when t.run_at > in_now then t.run_at end,
        case
          when s.delay is not null then in_now + s.delay
          when in_event in ('REQUEST', 'END_OK', 'END_ERROR', 'END_UNKNOWN') then in_now + in_duration
        end)
    end,
    -- A task that is given back keeps its run number: the launch marks may contain the run.
    t.run + case when in_event in ('CLAIM', 'TAKE') then 1 else 0 end,
    case
      when t.retry is null then t.attempt
      when in_event = 'RESTART' then 0
      when s.failure is not null then t.attempt + 1
      else t.attempt
    end,
    case s.next_phase when 'FINISHED' then s.ended_by when 'KEPT' then t.ended_by end,
    case when s.is_noted then s.status end,
    case when s.is_noted then s.error end,
    case when s.is_noted then s.ended_by end
  from (
    select
      r.phase,
      r.status,
      r.error,
      r.ended_by,
      r.failure,
      r.delay,
      -- A success at the first attempt is not noted.
      t.retry is not null and (r.failure is not null
        or (t.consumed is not null or t.yielded is not null)
          and r.status in ('FINISHED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'DOA')
          and (r.status <> 'FINISHED' or t.attempt > 0)) as is_noted,
      case
        when r.delay is not null then 'READY'
        when in_event in ('CLAIM', 'TAKE') then 'RUNNING'
        when in_event = 'RELEASE' then 'KEPT'
        when r.status in ('FINISHED', 'FAILED', 'CANCELED', 'TIMED_OUT', 'DOA') then 'FINISHED'
        when r.status = 'YIELDED' then 'YIELDED'
        else 'READY'
      end as next_phase,
      case
        when in_event = 'RESTART' then case
          when r.phase <> 'FINISHED' then 'the task has not finished'
          when t.expires_at <= in_now then 'the task has expired; push it anew'
        end
        when in_event = 'RELEASE' then case
          when r.phase <> 'FINISHED' then 'the task has not finished'
          when t.tracked is not true then 'the task holds no slot'
        end
        when r.phase = 'FINISHED' then 'the task has ended as ' || t.finish_status || '; only a restart moves it'
        when in_event in ('CLAIM', 'OFFER') then case
          when r.phase <> 'READY' then 'the task does not wait'
          when in_event = 'CLAIM' and t.query is null then 'the task is for clients to pull; offer it'
          when in_event = 'OFFER' and t.query is not null then 'the task has a query; claim it'
          when in_event = 'OFFER' and t.tracked then 'the task is offered already'
          when t.eligible_when > in_now then 'the task may not run yet'
          when t.times_up <= in_now then 'the task''s deadline has passed'
        end
        when in_event = 'GIVE_UP' and (r.phase <> 'READY' or t.query is null and t.tracked) then 'the task does not wait'
        when in_event = 'GIVE_UP' then null
        when in_event in ('TAKE', 'WITHDRAW') then case
          when r.phase <> 'READY' or t.query is not null or t.tracked is not true
            then 'the task is not offered'
          when in_event = 'TAKE' and t.times_up <= in_now then 'the task''s deadline has passed'
        end
        when in_event = 'PROMOTE' then case
          when r.phase <> 'READY' or t.query is null and t.tracked then 'the task does not wait'
          when t.eligible_when is null then 'the task waits for no time'
          when t.eligible_when > in_now then 'the task may not run yet'
        end
        when in_event in ('GIVE_BACK', 'END_OK', 'END_ERROR', 'END_UNKNOWN', 'UNREACHABLE') then case
          when r.phase <> 'RUNNING' or t.query is null then 'no query of the task runs'
          when in_event = 'UNREACHABLE' and t.receipt then 'the task has a receipt, which says how it ends'
          when in_event = 'UNREACHABLE' and coalesce(t.times_up, 'infinity') > in_now
            then 'the task''s deadline has not come'
        end
        when r.phase = 'RUNNING' and t.query is not null then 'a query of the task runs'
        when in_event = 'REQUEST' then case
          when in_status is null then 'the request names no status'
          when in_status = 'DEFERRED' and in_duration is null
            then 'DEFERRED needs a duration; say how long the task should wait'
        end
        when in_event = 'DEADLINE' then case
          when t.times_up is null or t.times_up > in_now then 'the task''s deadline has not come'
        end
        else 'there is no such event'
      end as rejected
    from (
      select p.*,
        -- An attempt that would begin after the end of all attempts does not take place.
        case when p.failure is not null then (
          select d.delay
          from (select async.retry_delay(t.retry, t.task_id, t.attempt + 1, p.failure, p.error) as delay) d
          where t.expires_at is null or in_now + d.delay < t.expires_at)
        end as delay
      from (
        select
          case
            when t.processed is not null then 'FINISHED'
            when t.yielded is not null then 'YIELDED'
            when t.consumed is not null then 'RUNNING'
            else 'READY'
          end as phase,
          case in_event
            when 'END_OK' then case
              -- The query committed before the cancel reached it.
              when in_status is null or in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED')
                then case when t.asynchronous_finish then 'YIELDED' else 'FINISHED' end::async.finish_status_t
              else in_status
            end
            when 'END_ERROR' then coalesce(in_status, 'FAILED')
            -- The query may have committed, so a pause does not run it again.
            when 'END_UNKNOWN' then coalesce(nullif(in_status, 'PAUSED'), 'FAILED')
            when 'REQUEST' then in_status
            when 'DEADLINE' then 'TIMED_OUT'
            when 'UNREACHABLE' then 'TIMED_OUT'
            when 'GIVE_UP' then 'FAILED'
          end as status,
          case
            when in_event = 'END_OK'
              and (in_status is null or in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED')) then null
            when in_event in ('DEADLINE', 'UNREACHABLE') or in_status = 'TIMED_OUT'
              then coalesce(in_message, 'the task did not finish in time')
                || case when in_event in ('UNREACHABLE', 'END_UNKNOWN') then coalesce(E'\n' || in_known, '') else '' end
            when in_event in ('END_ERROR', 'END_UNKNOWN') and in_status is null then in_known
            -- The cancel is not confirmed: it may have come too late.
            when in_event = 'END_UNKNOWN' and in_status = 'CANCELED'
              then coalesce(in_message || E'\n' || in_known, in_message, in_known)
            -- A pause is not confirmed either, and the task fails.
            when in_event = 'END_UNKNOWN' and in_status = 'PAUSED' then in_known
            else in_message
          end as error,
          -- A request that did not count has no role.
          case
            when in_event = 'END_OK' and in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED')
              or in_event = 'END_UNKNOWN' and in_status = 'PAUSED' then null
            else in_requested_by
          end as ended_by,
          -- How the attempt failed. A request beats a retry, except one that says FAILED of a task that
          -- a client works on.
          case
            when t.retry is null or t.processed is not null then null
            when in_event = 'END_ERROR' and in_status is null then 'error'
            when in_event = 'DEADLINE' and t.consumed is null and t.yielded is null
              or in_event = 'END_ERROR' and in_status = 'TIMED_OUT' and in_message is null then 'timeout'
            when in_event = 'END_UNKNOWN' and (in_status is null or in_status = 'PAUSED') then 'unknown'
            when in_event = 'END_UNKNOWN' and in_status = 'TIMED_OUT' and in_message is null
              or in_event = 'DEADLINE' then 'unknown timeout'
            -- The query may still run, so it is not retried.
            when in_event = 'UNREACHABLE' then 'lost'
            when in_event = 'GIVE_UP' then 'unreachable'
            when in_event = 'REQUEST' and in_status = 'FAILED' and (t.consumed is not null or t.yielded is not null)
              then 'reported'
          end as failure
        offset 0
      ) p
      offset 0
    ) r
    offset 0
  ) s
$function$;

-- decide/tasks/pool_limit
-- Purpose: the number of pool slots of a pool: the configured one, else the limit of the target
--   with this name, else the default.
-- Returns: int.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pool_limit(in_pool text)
returns int language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select coalesce(
      (select p.max_workers from async.concurrency_pool p where p.concurrency_pool = in_pool),
      (select t.max_concurrency from async.target t where t.target = in_pool),
      (select c.default_concurrency_pool_workers from async.control c)));
end
$function$;

-- decide/tasks/is_paused
-- Purpose: whether a pool or a target is paused, so that no task of theirs starts.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_paused(in_pool text, in_target text)
returns bool language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (select from async.concurrency_pool p where p.concurrency_pool = in_pool and p.paused)
    or exists (select from async.target t where t.target = in_target and t.paused);
end
$function$;

-- decide/tasks/pool_spacing
-- Purpose: the time between two starts of tasks of a pool.
-- Returns: interval; null for a pool without a limit on starts.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pool_spacing(in_pool text)
returns interval language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select p.interval / nullif(p.starts_max, 0) from async.concurrency_pool p where p.concurrency_pool = in_pool);
end
$function$;

-- decide/tasks/due_tasks
-- Purpose: unfinished tasks whose deadline has passed, the longest overdue first, without in_skip,
--   tasks that are in backoff.
-- Returns: at most 1000 ids; null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.due_tasks(in_now timestamptz, in_skip bigint[])
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return (
    select array_agg(d.task_id)
    from (
      select t.task_id from async.task t
      where t.times_up is not null and t.processed is null and t.times_up <= in_now
        and t.task_id <> all (in_skip)
      order by t.times_up, t.task_id
      limit 1000
    ) d);
end
$function$;

-- decide/tasks/deferred_tasks
-- Purpose: READY tasks whose deferral has ended, the earliest first, without in_skip, tasks that
--   are in backoff. Rows that other transactions hold are included. The writer reports them, and
--   they are retried.
-- Returns: at most 5000 ids; null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.deferred_tasks(in_now timestamptz, in_skip bigint[])
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return (
    select array_agg(d.task_id)
    from (
      select t.task_id from async.task t
      where t.eligible_when is not null and t.processed is null
        -- In this form, the planner cannot take the index of all READY tasks (task_arrived).
        and t.eligible_when <= in_now and coalesce(t.consumed, t.yielded) is null
        and array_position(in_skip, t.task_id) is null
      order by t.eligible_when, t.task_id
      limit 5000
    ) d);
end
$function$;

-- decide/tasks/intention_replaces
-- Purpose: which of two intentions for a running query counts: one that ends the task replaces one
--   that does not; any request replaces the deadline (TIMED_OUT without a message); otherwise the
--   first counts.
-- Returns: true when the new one replaces the old one.
-- Raises: nothing.
-- Locks: none.
create or replace function async.intention_replaces(
  in_old async.finish_status_t,
  in_old_error text,
  in_new async.finish_status_t
) returns bool language sql immutable as $function$
  select in_new is not null and (
    in_old is null
    or in_old = 'TIMED_OUT' and in_old_error is null
    or in_old in ('DEFERRED', 'PAUSED', 'YIELDED') and in_new not in ('DEFERRED', 'PAUSED', 'YIELDED'))
$function$;

-- decide/tasks/request_message
-- Purpose: the message of a request. A request with TIMED_OUT always has one, which distinguishes
--   it from the deadline.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.request_message(in_status async.finish_status_t, in_error text)
returns text language sql immutable as $function$
  select case when in_status = 'TIMED_OUT' then coalesce(in_error, 'the task did not finish in time') else in_error end
$function$;

-- decide/tasks/waits_for_launch
-- Purpose: whether a task waits for its launch: READY, not deferred, with a query. The predicate of
--   the index task_ready.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines the function and finds the index. A role that
--   runs a statement with it therefore needs the right to execute it.)
create or replace function async.waits_for_launch(t async.task)
returns bool language sql immutable as $function$
  select t.consumed is null and t.processed is null and t.yielded is null
    and t.eligible_when is null and t.query is not null
$function$;

-- decide/tasks/waits_for_offer
-- Purpose: whether a task waits for its offer to clients: READY, not deferred, without a query, not
--   offered. The predicate of the index task_pullable.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines the function and finds the index. A role that
--   runs a statement with it therefore needs the right to execute it.)
create or replace function async.waits_for_offer(t async.task)
returns bool language sql immutable as $function$
  select t.consumed is null and t.processed is null and t.yielded is null
    and t.eligible_when is null and t.query is null and t.tracked is distinct from true
$function$;

-- decide/tasks/discover_lanes
-- Purpose: the lanes (pool and target) with READY tasks, found by skipping through the index of the
--   queue. The cost grows with the number of lanes, and not with the number of tasks.
-- Returns: one row for each lane and kind (pullable: tasks without a query, for clients).
-- Raises: nothing.
-- Locks: none.
create or replace function async.discover_lanes()
returns table (pool text, target text, pullable bool)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  return query
  with recursive lane as (
    (select coalesce(t.concurrency_pool, t.target) as pool, t.target
     from async.task t
     where async.waits_for_launch(t)
     order by coalesce(t.concurrency_pool, t.target), t.target
     limit 1)
    union all
    select n.pool, n.target
    from lane l
    cross join lateral (
      select coalesce(t.concurrency_pool, t.target) as pool, t.target
      from async.task t
      where async.waits_for_launch(t)
        and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
      order by coalesce(t.concurrency_pool, t.target), t.target
      limit 1
    ) n
  )
  select l.pool, l.target, false from lane l;

  return query
  with recursive lane as (
    (select coalesce(t.concurrency_pool, t.target) as pool, t.target
     from async.task t
     where async.waits_for_offer(t)
     order by coalesce(t.concurrency_pool, t.target), t.target
     limit 1)
    union all
    select n.pool, n.target
    from lane l
    cross join lateral (
      select coalesce(t.concurrency_pool, t.target) as pool, t.target
      from async.task t
      where async.waits_for_offer(t)
        and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
      order by coalesce(t.concurrency_pool, t.target), t.target
      limit 1
    ) n
  )
  select l.pool, l.target, true from lane l;
end
$function$;

-- decide/tasks/lane_fronts
-- Purpose: lanes with READY tasks and the position before the first task of each, in the order of the
--   index of the queue, behind a lane (two empty texts: from the first one). The cost grows with the
--   number of lanes, and not with the number of tasks.
-- Returns: up to in_max lanes of one kind (pullable: tasks without a query, for clients).
-- Raises: nothing.
-- Locks: none.
create or replace function async.lane_fronts(
  in_pullable bool, in_after_pool text, in_after_target text, in_max int
) returns setof async.lane_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  if in_pullable then
    return query
    with recursive lane as (
      (select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id, 1 as place
       from async.task t
       where async.waits_for_offer(t)
         and (coalesce(t.concurrency_pool, t.target), t.target) > (in_after_pool, in_after_target)
       order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
       limit 1)
      union all
      select n.*, l.place + 1
      from lane l
      cross join lateral (
        select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id
        from async.task t
        where async.waits_for_offer(t)
          and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
        order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
        limit 1
      ) n
      where l.place < in_max
    )
    select l.pool, l.target, true, l.priority, l.entered, l.task_id - 1, null::int, null::int from lane l;
    return;
  end if;
  return query
  with recursive lane as (
    (select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id, 1 as place
     from async.task t
     where async.waits_for_launch(t)
       and (coalesce(t.concurrency_pool, t.target), t.target) > (in_after_pool, in_after_target)
     order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
     limit 1)
    union all
    select n.*, l.place + 1
    from lane l
    cross join lateral (
      select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.priority, t.entered, t.task_id
      from async.task t
      where async.waits_for_launch(t)
        and (coalesce(t.concurrency_pool, t.target), t.target) > (l.pool, l.target)
      order by coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered, t.task_id
      limit 1
    ) n
    where l.place < in_max
  )
  select l.pool, l.target, false, l.priority, l.entered, l.task_id - 1, null::int, null::int from lane l;
end
$function$;

-- decide/tasks/plan_claims
-- Purpose: chooses the tasks that run next. Reads the heads of the given lanes in the total order
--   (priority, entered, task_id) and takes each task whose pool has a free pool slot and, unless a
--   client pulls it, for which a worker is free and its target has a session or takes one more
--   (heads_max of its lanes, over all of them). Lanes with a full pool or a target that is down
--   are not given, so they block no other lane. Tasks of in_skip, which are in backoff, are
--   skipped. Of each lane, in_depth tasks are read and one more, which is not chosen.
-- Returns: the chosen tasks, in order, each with its place, from 1 on. And the first task of each lane
--   that was not chosen, with place 0 if it waits for a session only, -1 if it is the one more, so that
--   tasks behind it in the order must wait for a further look at its lane, and otherwise without a
--   place. A lane without such a task has no further tasks, except those of in_skip.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: one query and the loop over it.)
create or replace function async.plan_claims(
  in_lanes async.lane_t[],
  in_workers int,
  in_skip bigint[],
  in_now timestamptz,
  in_depth int
) returns table (
  place int, task_id bigint, run int, pool text, target text, pullable bool, priority int,
  entered timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
declare
  v_head record;
  v_pools text[] := '{}';
  v_free int[] := '{}';
  v_targets text[] := '{}';
  v_sessions int[] := '{}';
  v_workers int := in_workers;
  v_at int;
  v_target_at int;
  v_chosen int := 0;
  v_read int[] := array_fill(0, array[cardinality(in_lanes)]);
  v_closed bool[] := array_fill(false, array[cardinality(in_lanes)]);
begin
  for v_head in
    select l.lane, l.pool, l.target, l.pullable, l.free, l.heads_max, h.task_id, h.run, h.priority, h.entered
    from unnest(in_lanes) with ordinality
      as l(pool, target, pullable, after_priority, after_entered, after_id, free, heads_max, lane)
    cross join lateral (
      (select t.task_id, t.run, t.priority, t.entered
       from async.task t
       where not l.pullable
         and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
         and async.waits_for_launch(t)
         and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
         and (t.times_up is null or t.times_up > in_now)
         and t.task_id <> all (in_skip)
       order by t.priority, t.entered, t.task_id
       limit least(l.free, in_workers, l.heads_max, in_depth) + 1)
      union all
      (select t.task_id, t.run, t.priority, t.entered
       from async.task t
       where l.pullable
         and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
         and async.waits_for_offer(t)
         and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
         and (t.times_up is null or t.times_up > in_now)
         and t.task_id <> all (in_skip)
       order by t.priority, t.entered, t.task_id
       limit least(l.free, in_depth) + 1)
    ) h
    order by h.priority, h.entered, h.task_id
  loop
    continue when v_closed[v_head.lane];
    v_read[v_head.lane] := v_read[v_head.lane] + 1;
    place := null;
    v_at := array_position(v_pools, v_head.pool);
    if v_at is null then
      v_pools := v_pools || v_head.pool;
      v_free := v_free || v_head.free;
      v_at := cardinality(v_pools);
    end if;
    if v_head.heads_max is not null then
      v_target_at := array_position(v_targets, v_head.target);
      if v_target_at is null then
        v_targets := v_targets || v_head.target;
        v_sessions := v_sessions || v_head.heads_max;
        v_target_at := cardinality(v_targets);
      end if;
    end if;
    if v_free[v_at] > 0 and v_read[v_head.lane] <= in_depth
      and (v_head.pullable or v_workers > 0 and (v_head.heads_max is null or v_sessions[v_target_at] > 0)) then
      v_free[v_at] := v_free[v_at] - 1;
      if not v_head.pullable then
        v_workers := v_workers - 1;
        if v_head.heads_max is not null then
          v_sessions[v_target_at] := v_sessions[v_target_at] - 1;
        end if;
      end if;
      v_chosen := v_chosen + 1;
      place := v_chosen;
    else
      v_closed[v_head.lane] := true;
      place := case
        when v_free[v_at] <= 0 or v_workers < 1 and not v_head.pullable then null
        when v_head.heads_max is not null and not v_head.pullable and v_sessions[v_target_at] < 1 then 0
        when v_read[v_head.lane] > in_depth then -1 end;
    end if;
    task_id := v_head.task_id;
    run := v_head.run;
    pool := v_head.pool;
    target := v_head.target;
    pullable := v_head.pullable;
    priority := v_head.priority;
    entered := v_head.entered;
    return next;
  end loop;
end
$function$;

-- decide/queries/comment_length
-- Purpose: the length of the comment at the beginning of a text, with the comments inside it. The
--   cost grows with the length of the text alone.
-- Returns: a number of characters; the length of the text when the comment has no end.
-- Raises: nothing.
-- Locks: none.
create or replace function async.comment_length(in_rest text)
returns int
language plpgsql immutable
as $function$
declare
  v_end constant int := strpos(substr(in_rest, 3), '*/');
  v_pieces text[];
  v_piece text;
  v_place int := 0;
  v_nested int := 1;
  v_length int := 2;
  -- Whether the slash before the piece, and the star at its beginning, belong to a delimiter already.
  v_slash_taken bool := true;
  v_star_taken bool;
begin
  if v_end = 0 then
    return length(in_rest);
  elsif strpos(substr(in_rest, 3, v_end), '/*') = 0 then
    return v_end + 3;
  end if;
  v_pieces := string_to_array(substr(in_rest, 3), '/');
  foreach v_piece in array v_pieces loop
    v_place := v_place + 1;
    v_length := v_length + length(v_piece);
    v_star_taken := not v_slash_taken and left(v_piece, 1) = '*';
    if v_star_taken then
      v_nested := v_nested + 1;
    end if;
    exit when v_place = cardinality(v_pieces);
    -- The slash behind the piece.
    v_length := v_length + 1;
    v_slash_taken := right(v_piece, 1) = '*' and not (v_star_taken and v_piece = '*');
    if v_slash_taken then
      v_nested := v_nested - 1;
      if v_nested = 0 then
        return v_length;
      end if;
    end if;
  end loop;
  return length(in_rest);
end
$function$;

-- decide/queries/token_length
-- Purpose: the length of the first token of a text, for async.scan_statements, with whose search
--   path it runs. Without in_whole the text is a piece: a token that may continue behind its end has
--   the length of the piece.
-- Returns: a number of characters; 0 for an empty text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.token_length(in_rest text, in_whole bool)
returns int
language plpgsql immutable
as $function$
declare
  -- As in the lexer of Postgres: characters outside of ASCII belong to names, and a string may
  -- continue on another line.
  c_name constant text := E'(?:[A-Za-z_]|[^\\u0001-\\u007f])(?:[A-Za-z0-9_]|[^\\u0001-\\u007f])*';
  c_dollar constant text := E'^\\$(?:' || c_name || E')?\\$';
  c_word constant text := E'^(?:[A-Za-z_]|[^\\u0001-\\u007f])(?:[A-Za-z0-9_$]|[^\\u0001-\\u007f])*';
  c_number constant text := E'^[0-9]+(?:\\.(?!\\.)[0-9]*)?(?:[eE][+-]?[0-9]+)?';
  c_gap constant text := E'(?:[ \\t\\f\\v]|--[^\\n\\r]*)*[\\n\\r](?:[ \\t\\n\\r\\f\\v]|--[^\\n\\r]*[\\n\\r])*''';
  c_escaped constant text := E'(?:[^''\\\\]|\\\\.|'''')*''';
  c_escape_string constant text :=
    '^[eE]''' || c_escaped || '(?:' || c_gap || c_escaped || ')*(?!''|' || c_gap || ')';
  v_char constant text := left(in_rest, 1);
  v_delimiter text;
  v_length int;
begin
  if strpos(E' \t\n\r\f\x0b', v_char) > 0 and v_char <> '' then
    return length(substring(in_rest from E'^[ \\t\\n\\r\\f\\v]+'));
  elsif left(in_rest, 2) = '--' then
    return length(substring(in_rest from E'^[^\\n\\r]*'));
  elsif left(in_rest, 2) = '/*' then
    return async.comment_length(in_rest);
  elsif lower(left(in_rest, 2)) = 'e''' then
    v_length := length(coalesce(substring(in_rest from c_escape_string), in_rest));
    return case
      when not in_whole
        and substr(in_rest, v_length + 1) ~ E'^(?:[ \\t\\n\\r\\f\\v]|--[^\\n\\r]*)*$' then length(in_rest)
      else v_length
    end;
  elsif v_char = '''' then
    return length(coalesce(substring(in_rest from '^''(?:[^'']|'''')*'''), in_rest));
  elsif v_char = '"' then
    return length(coalesce(substring(in_rest from '^"(?:[^"]|"")*"'), in_rest));
  elsif v_char = '$' then
    v_delimiter := substring(in_rest from c_dollar);
    if v_delimiter is null then
      return case when not in_whole and in_rest ~ (E'^\\$' || c_name || '$') then length(in_rest) else 1 end;
    end if;
    v_length := strpos(substr(in_rest, length(v_delimiter) + 1), v_delimiter);
    return case v_length when 0 then length(in_rest) else v_length - 1 + 2 * length(v_delimiter) end;
  elsif v_char ~ E'[A-Za-z_]|[^\\u0001-\\u007f]' then
    return length(substring(in_rest from c_word));
  elsif v_char ~ '[0-9]' then
    return length(substring(in_rest from c_number));
  end if;
  return length(v_char);
end
$function$;

-- decide/queries/scan_statements
-- Purpose: a lexer that splits a text into statements and reads from each what decides how it is
--   sent. It knows comments (nested), strings, escape strings, dollar quotes, quoted identifiers
--   and parentheses. It reads the first 32 KiB, and at most 4,000 tokens of them; complete says whether
--   that was the whole text. The leader waits for it, so its cost must grow with the length of the text
--   alone: it works on a short piece, and takes the whole rest only for a token that is longer.
-- Returns: one row for each statement, in order: its text without the semicolon, its first word,
--   the word of its action (behind a WITH list), whether the INTO of a SELECT and RETURNING are
--   outside of parentheses (in a query in parentheses, INTO counts inside them), and whether it is
--   a COPY from or to the client. The last row of a text that was not read to its end may be empty.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: one scanner, whose states share their variables.)
create or replace function async.scan_statements(in_query text)
returns table (
  place int, statement text, first_word text, main_word text, has_into bool, has_returning bool,
  copies_to_client bool, complete bool
)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_prefix_chars_max constant int := 32768;
  c_tokens_max constant int := 4000;
  -- A token that ends this close to the end of the piece may go on behind it.
  c_piece_chars constant int := 1024;
  c_margin_chars constant int := 16;
  c_blank constant text := E'[ \\t\\n\\r\\f\\v]';
  c_word constant text := E'[A-Za-z_]|[^\\u0001-\\u007f]';
  v_text constant text := left(in_query, c_prefix_chars_max);
  -- The piece, and whether it is all of the rest.
  v_rest text := left(v_text, c_piece_chars);
  v_whole bool := length(v_text) <= c_piece_chars;
  v_tokens int := 0;
  v_char text;
  v_word text;
  v_last_word text := '';
  v_depth int := 0;
  v_start int := 1;
  v_at int := 1;
  v_length int;
begin
  place := 0;
  complete := length(in_query) <= c_prefix_chars_max;
  first_word := '';
  main_word := '';
  has_into := false;
  has_returning := false;
  copies_to_client := false;
  loop
    if not v_whole and length(v_rest) < c_piece_chars / 2 then
      v_rest := substr(v_text, v_at, c_piece_chars);
      v_whole := v_at + c_piece_chars > length(v_text);
    end if;
    v_char := left(v_rest, 1);
    v_length := async.token_length(v_rest, v_whole);
    if not v_whole and v_length > length(v_rest) - c_margin_chars then
      v_rest := substr(v_text, v_at);
      v_whole := true;
      v_length := async.token_length(v_rest, v_whole);
    end if;
    v_tokens := v_tokens + 1;
    if v_tokens > c_tokens_max then
      complete := false;
      v_char := '';
    end if;
    if v_char = ';' and v_depth = 0 or v_char = '' then
      if first_word <> '' or v_char = '' and not complete then
        place := place + 1;
        statement := substr(v_text, v_start, v_at - v_start);
        return next;
      end if;
      exit when v_char = '';
      first_word := '';
      main_word := '';
      has_into := false;
      has_returning := false;
      copies_to_client := false;
      v_last_word := '';
      v_start := v_at + 1;
    elsif v_char ~ c_blank or left(v_rest, 2) in ('--', '/*') then
      null;
    elsif v_char = '''' or lower(left(v_rest, 2)) = 'e''' or v_char = '$' and v_length > 1 then
      null;
    elsif v_char = '"' then
      v_last_word := '"';
    elsif v_char ~ c_word then
      v_word := lower(left(v_rest, v_length));
      if first_word = '' then
        first_word := v_word;
      end if;
      if v_depth = 0 then
        if main_word = ''
          and (first_word <> 'with'
            or v_word in ('select', 'insert', 'update', 'delete', 'merge', 'values', 'table')
              and v_last_word <> 'as')
        then
          main_word := v_word;
        end if;
        has_returning := has_returning or v_word = 'returning' and v_last_word not in ('as', '.');
        copies_to_client := copies_to_client or first_word = 'copy'
          and (v_last_word || ' ' || v_word) in ('from stdin', 'to stdout', 'from stdout', 'to stdin');
      end if;
      -- Behind AS and behind a dot the word is a name.
      has_into := has_into or v_word = 'into' and (v_depth = 0 or main_word = '(')
        and v_last_word not in ('insert', 'merge', 'as', '.');
      v_last_word := v_word;
    else
      -- Behind a WITH list a query may be in parentheses.
      if first_word = 'with' and main_word = '' and v_depth = 0 and v_char = '(' and v_last_word = ')' then
        main_word := v_char;
      end if;
      v_depth := greatest(v_depth + case v_char when '(' then 1 when ')' then -1 else 0 end, 0);
      v_last_word := v_char;
      if first_word = '' then
        first_word := v_char;
        main_word := v_char;
      end if;
    end if;
    v_rest := substr(v_rest, v_length + 1);
    v_at := v_at + v_length;
    if length(v_rest) > c_piece_chars then
      v_rest := left(v_rest, c_piece_chars);
      v_whole := false;
    end if;
  end loop;
end
$function$;

-- decide/queries/statement_is_wrappable
-- Purpose: whether a statement may run inside the DO block of the wrapper. SELECT INTO may not,
--   because plpgsql would interpret the INTO.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.statement_is_wrappable(in_first text, in_main text, in_has_into bool)
returns bool language sql immutable as $function$
  select in_first in ('select', 'values', 'table', 'show', 'explain', 'insert', 'update', 'delete', 'merge', '(')
      and not (in_has_into and in_first in ('select', '('))
    or in_first = 'with' and in_main in ('select', 'values', 'table', 'insert', 'update', 'delete', 'merge', '(')
      and not (in_has_into and in_main in ('select', '('))
$function$;

-- decide/queries/statement_returns_rows
-- Purpose: whether a statement that may be wrapped returns rows.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.statement_returns_rows(in_main text, in_has_returning bool)
returns bool language sql immutable as $function$
  select in_main in ('select', 'values', 'table', 'show', 'explain', '(') or in_has_returning
$function$;

-- decide/queries/classify_query
-- Purpose: decides how a query is sent. The first word decides about a text that is clearly one
--   statement. Other texts are scanned.
-- Returns: 'raw' (sent unchanged: statements that cannot run inside a function or return only a
--   tag), 'loop' (one statement that returns rows, read in a DO block), 'execute' (one statement
--   without rows, run in a DO block), 'script' (several statements in one DO block), 'refused'
--   (COPY from or to the client).
-- Raises: nothing.
-- Locks: none.
create or replace function async.classify_query(in_query text)
returns text
language plpgsql immutable
as $function$
declare
  v_body text := rtrim(in_query, E' \t\n\r\f\x0b;');
  v_word text := lower(substring(in_query from E'^[ \\t\\n\\r\\f\\v]*([[:alpha:]]+)'));
  v_statements int;
  v_wrappable bool;
  v_rows bool;
  v_refused bool;
  v_complete bool;
  v_last record;
begin
  if strpos(v_body, ';') = 0 then
    case
      when v_word in ('values', 'table', 'show', 'explain')
        or v_word = 'select' and strpos(lower(v_body), 'into') = 0 then
        return 'loop';
      when v_word in ('insert', 'update', 'delete') and strpos(lower(v_body), 'returning') = 0 then
        return 'execute';
      when v_word in ('call', 'do', 'vacuum', 'create', 'drop', 'alter', 'analyze', 'refresh', 'reindex') then
        return 'raw';
      else
        null;
    end case;
  end if;
  for v_last in select * from async.scan_statements(in_query) loop
    if v_last.first_word <> '' or v_last.place > 1 then
      v_statements := v_last.place;
    end if;
    v_complete := v_last.complete;
    v_refused := coalesce(v_refused, false) or v_last.copies_to_client;
    v_rows := coalesce(v_rows, false) or async.statement_returns_rows(v_last.main_word, v_last.has_returning);
    v_wrappable := coalesce(v_wrappable, true)
      and async.statement_is_wrappable(v_last.first_word, v_last.main_word, v_last.has_into);
  end loop;
  return case
    -- Only comments, or more of them than are read: dblink mistakes the answer to an empty query for a
    -- lost connection.
    when v_statements is null then 'execute'
    when v_refused then 'refused'
    when not v_wrappable then 'raw'
    when v_statements > 1 then case when v_rows and v_complete then 'script' else 'raw' end
    when not v_complete then 'execute'
    when v_rows then 'loop'
    else 'execute'
  end;
end
$function$;

-- decide/queries/wrap_query
-- Purpose: the text that is sent for a query: unchanged, or inside a DO block that reads its rows
--   at the target one by one, so that neither side holds them in memory.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.wrap_query(in_query text, in_kind text)
returns text
language plpgsql immutable
as $function$
declare
  c_loop constant text := 'for pgasync_row in execute %L loop end loop;';
  c_execute constant text := 'execute %L;';
  v_body text;
begin
  case in_kind
    when 'loop' then
      v_body := format(c_loop, in_query);
    when 'execute' then
      v_body := format(c_execute, in_query);
    when 'script' then
      select string_agg(
          format(
            case when async.statement_returns_rows(s.main_word, s.has_returning) then c_loop else c_execute end,
            s.statement),
          ' ' order by s.place)
      into v_body
      from async.scan_statements(in_query) s;
    else
      return in_query;
  end case;
  return format('do %L', format('declare pgasync_row record; begin %s end', v_body));
end
$function$;

-- decide/queries/opens_transaction
-- Purpose: whether a text may leave a transaction open: one of its statements begins a transaction
--   or chains one to another, or the text is too long to be scanned to its end.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.opens_transaction(in_query text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (
    select from async.scan_statements(in_query) s
    where not s.complete
      or s.first_word in ('begin', 'start')
      or s.first_word in ('commit', 'end', 'rollback', 'abort') and s.statement ~* E'\\mchain\\M');
end
$function$;

-- decide/queries/refuses_transaction_block
-- Purpose: whether Postgres refuses a statement in a transaction block, by its first words. Comments
--   between them have no meaning. A statement that this does not recognize fails at its target.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refuses_transaction_block(in_statement text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The words that decide stand among the first tokens.
  c_tokens_max constant int := 100;
  c_alone constant text := E'^ (vacuum|discard)\\M|^ (create|drop) (database|tablespace|subscription)\\M'
    || E'|^ alter system\\M|^ alter table .* detach partition .*\\mconcurrently\\M'
    || E'|^ reindex( \\([^)]*\\))? (database|system|schema)\\M|^ reindex .*\\mconcurrently\\M'
    || E'|^ (create|drop)( unique)? index concurrently\\M|^ cluster( \\([^)]*\\)| verbose)?$';
  v_rest text := in_statement;
  v_length int;
  v_token text;
  v_words text := '';
begin
  for i in 1 .. c_tokens_max loop
    v_length := async.token_length(v_rest, true);
    exit when v_length = 0;
    v_token := left(v_rest, v_length);
    v_rest := substr(v_rest, v_length + 1);
    -- A name in quotes is not the keyword. Blanks and comments are dropped.
    v_words := v_words || case
      when v_token ~ E'^([ \\t\\n\\r\\f\\v]|--|/\\*)' then ''
      when v_token ~ '^(["$'']|[eE]'')' then ' "'
      when v_token = ')' then v_token
      else ' ' || lower(v_token)
    end;
  end loop;
  return v_words ~ c_alone;
end
$function$;

-- decide/results/dollar_quote
-- Purpose: a text as a literal that is hardly longer. quote_literal doubles each quote and backslash,
--   and twice so in a literal within a literal.
-- Returns: the literal, in dollar quotes whose tag does not occur in the text. A text that contains all
--   the tags that are tried is quoted by quote_literal.
-- Raises: nothing.
-- Locks: none.
create or replace function async.dollar_quote(in_text text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_tags constant int := 8;
  v_tag text;
begin
  for i in 1..c_tags loop
    v_tag := '$pgasync' || i || '$';
    -- The dollar: the end of the text and the beginning of the tag behind it may be a tag, too.
    if strpos(in_text || '$', v_tag) = 0 then
      return v_tag || in_text || v_tag;
    end if;
  end loop;
  return quote_literal(in_text);
end
$function$;

-- decide/results/classify_kept
-- Purpose: how the block of async.keep_query runs a query whose rows are kept, or why it cannot.
-- Returns: kind: 'loop' (it returns rows), 'execute' (it returns none), or 'probe' (only the target
--   knows). Or refused: what the query is that cannot be kept, as the end of a sentence.
-- Raises: nothing.
-- Locks: none.
create or replace function async.classify_kept(in_query text, out kind text, out refused text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_class constant text := async.classify_query(in_query);
  v_statements int;
  v_first record;
  v_complete bool;
begin
  if v_class = 'loop' then
    kind := v_class;
    return;
  end if;
  select count(*) filter (where s.first_word <> ''), bool_and(s.complete) into v_statements, v_complete
  from async.scan_statements(in_query) s;
  select s.* into v_first from async.scan_statements(in_query) s where s.first_word <> '' order by s.place
  fetch first row only;
  if v_statements > 1 then
    refused := 'has several statements';
  elsif v_first.first_word = 'copy' then
    refused := 'is a COPY';
  elsif v_first.first_word in ('begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release')
    or v_first.first_word = 'prepare' and v_first.statement ~* E'\\mprepare\\s+transaction\\M'
  then
    refused := 'controls transactions';
  elsif async.refuses_transaction_block(v_first.statement) then
    refused := 'cannot run in a transaction block';
  elsif v_first.has_into and v_class = 'raw' and v_first.first_word in ('select', '(', 'with') then
    refused := 'is a SELECT INTO';
  elsif v_first.first_word = 'call' or v_complete is false then
    kind := 'probe';
  else
    kind := 'execute';
  end if;
end
$function$;

-- decide/results/keep_block
-- Purpose: the DO statement of async.keep_query and async.receipt_query for a query whose rows are kept: it
--   runs the query, counts its rows, and keeps whole rows as JSON while they fit into in_bytes_max. It puts
--   what async.read_result reads into the setting pgasync.result of the transaction: an object with
--   row_count, truncated, rows (the array, in UTF-8, as base64, so that no session converts it) and error.
--   Every name is qualified, since the path is that of the role at the target.
-- Returns: text. A query that cannot be kept, because it was changed after the push, fails there.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: the text.)
create or replace function async.keep_block(in_query text, in_bytes_max int) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_block constant text := $text$declare
  pgasync_query constant pg_catalog.text := %s;
  pgasync_bytes_max constant pg_catalog.int4 := %s;
  -- The bytes of a database without an encoding are taken as they are.
  pgasync_encoding constant pg_catalog.text := case
    when pg_catalog.current_setting('server_encoding') operator(pg_catalog.=) 'SQL_ASCII' then 'SQL_ASCII'
    else 'UTF8' end;
  pgasync_row pg_catalog.record;
  pgasync_cursor pg_catalog.refcursor;
  pgasync_one pg_catalog.text;
  pgasync_rows pg_catalog.text[] := '{}';
  pgasync_bytes pg_catalog.int8 := 1;
  pgasync_count pg_catalog.int8 := 0;
  pgasync_keeps pg_catalog.bool := true;
  pgasync_error pg_catalog.text;
begin
  %s
  perform pg_catalog.set_config('pgasync.result', pg_catalog.json_build_object(
    'row_count', pgasync_count, 'truncated', not pgasync_keeps, 'error', pgasync_error,
    'rows', pg_catalog.translate(pg_catalog.encode(pg_catalog.convert_to(
      pg_catalog.concat('[', pg_catalog.array_to_string(pgasync_rows, ','), ']'), pgasync_encoding), 'base64'),
      pg_catalog.chr(10), ''))::pg_catalog.text, true);
end$text$;
  c_loop constant text := $text$for pgasync_row in execute pgasync_query loop
    pgasync_count := pgasync_count operator(pg_catalog.+) 1;
    if pgasync_keeps then
      begin
        pgasync_one := pg_catalog.to_jsonb(pgasync_row)::pg_catalog.text;
        pgasync_bytes := pgasync_bytes operator(pg_catalog.+) 1 operator(pg_catalog.+)
          pg_catalog.octet_length(pg_catalog.convert_to(pgasync_one, pgasync_encoding));
        if pgasync_bytes operator(pg_catalog.<=) pgasync_bytes_max then
          pgasync_rows := pg_catalog.array_append(pgasync_rows, pgasync_one);
        else
          pgasync_keeps := false;
        end if;
      exception when assert_failure or others then
        pgasync_keeps := false;
        pgasync_error := pg_catalog.regexp_replace(
          pg_catalog.format('row %s is no JSON: %s: %s', pgasync_count, sqlstate, pg_catalog.left(sqlerrm, 500)),
          '[^ -~]', '?', 'g');
      end;
    end if;
  end loop;$text$;
  c_execute constant text := $text$execute pgasync_query;
  get diagnostics pgasync_count = row_count;$text$;
  -- Opening the cursor fails before the query runs, if the query returns no rows.
  c_probe constant text := $text$begin
    open pgasync_cursor for execute pgasync_query;
    close pgasync_cursor;
  exception when invalid_cursor_definition then
    pgasync_keeps := false;
  end;
  if pgasync_keeps then
    %s
  else
    pgasync_keeps := true;
    %s
  end if;$text$;
begin
  return format('do %s',
    async.dollar_quote(format(c_block, async.dollar_quote(in_query), in_bytes_max,
      case (async.classify_kept(in_query)).kind
        when 'loop' then c_loop
        when 'execute' then c_execute
        else format(c_probe, c_loop, c_execute)
      end)));
end
$function$;

-- decide/results/keep_query
-- Purpose: the text that both engines send for a query whose rows are kept: a block that runs it
--   (async.keep_block), and in the same transaction a statement that returns what async.read_result reads.
-- Returns: text. A query that cannot be kept, because it was changed after the push, fails at its target.
-- Raises: nothing.
-- Locks: none.
create or replace function async.keep_query(in_query text, in_bytes_max int) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return async.keep_block(in_query, in_bytes_max) || '; select pg_catalog.current_setting(''pgasync.result'') as result';
end
$function$;

-- decide/receipts/refuse_receipt
-- Purpose: why a query cannot be sent with a receipt: it is not one transaction, or has no place in one.
--   A query that this does not recognize fails at its target, in the block of async.receipt_query.
-- Returns: what the query is, as the end of a sentence; null for a query that can be sent.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refuse_receipt(in_query text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_statement record;
begin
  if in_query is null then
    return 'is missing: clients run the task';
  end if;
  for v_statement in
    select s.* from async.scan_statements(in_query) s order by s.place
  loop
    if v_statement.copies_to_client then
      return 'is a COPY from or to the client';
    elsif v_statement.first_word in ('begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release')
      or v_statement.first_word = 'prepare' and v_statement.statement ~* E'\\mprepare\\s+transaction\\M'
    then
      return 'controls transactions';
    elsif async.refuses_transaction_block(v_statement.statement) then
      return 'cannot run in a transaction block';
    elsif v_statement.has_into and v_statement.main_word in ('select', '(') then
      return 'is a SELECT INTO';
    end if;
  end loop;
  return null;
end
$function$;

-- decide/receipts/receipt_query
-- Purpose: the text that both engines send for a query with a receipt: the receipt, the query in a DO
--   block, and a block that makes the commit of both synchronous. Without transaction control all of it is
--   one transaction, whose commit precedes the answer to the last statement. Inside of the block Postgres
--   refuses transaction control. With in_result_bytes_max the rows are kept (async.keep_query), else
--   they are dropped at the target. Every name is qualified, since the path is that of the role there.
-- Returns: text. A query that async.refuse_receipt refuses, because it was changed after the push, fails
--   there.
-- Raises: nothing.
-- Locks: none.
create or replace function async.receipt_query(
  in_query text, in_server_id text, in_election text, in_task_id bigint, in_run int, in_result_bytes_max int
) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- A run that was marked for a session and not sent may be sent on another one. The fence of the first
  -- voids its receipt meanwhile, if it comes before the new mark.
  c_receipt constant text := 'do $pgasync$begin '
    'insert into pgasync.receipt (server_id, election, task_id, run) values (%1$L, %2$L, %3$s, %4$s); '
    'exception when unique_violation then '
    'if exists (select from pgasync.receipt r where r.server_id operator(pg_catalog.=) %1$L::pg_catalog.text '
    'and r.election operator(pg_catalog.=) %2$L::pg_catalog.text and r.task_id operator(pg_catalog.=) %3$s::pg_catalog.int8 '
    'and r.run operator(pg_catalog.=) %4$s::pg_catalog.int4 and r.voided) then '
    'raise exception using errcode = ''PA216'', message = ''the receipt of the run was voided before its query began''; '
    'end if; raise; end$pgasync$; ';
  -- Deferred triggers run before, so that none changes the setting afterwards.
  c_end constant text := '; do $pgasync$begin set constraints all immediate; '
    'perform pg_catalog.set_config(''synchronous_commit'', ''on'', true) '
    'where pg_catalog.current_setting(''synchronous_commit'') operator(pg_catalog.=) ''off''; end$pgasync$';
  c_result constant text := '; select pg_catalog.current_setting(''pgasync.result'') as result';
  v_kind text := async.classify_query(in_query);
  v_body text;
begin
  if in_result_bytes_max is not null then
    v_body := async.keep_block(in_query, in_result_bytes_max);
  else
    if v_kind not in ('loop', 'execute', 'script') then
      select case when count(*) > 1 and bool_and(s.complete) then 'script' else 'execute' end into v_kind
      from async.scan_statements(in_query) s;
    end if;
    v_body := async.wrap_query(in_query, v_kind);
  end if;
  return format(c_receipt, in_server_id, in_election, in_task_id, in_run) || v_body || c_end
    || case when in_result_bytes_max is null then '' else c_result end;
end
$function$;

-- decide/receipts/void_query
-- Purpose: the statement that resolves a lost run at its target: it voids the receipt, unless it is there.
--   It writes in both cases, so it waits for a run that is still open. in_database is that of the run.
-- Returns: text; the statement returns one text: true (voided: the query had no effect and can have none),
--   false (the query has committed), or the name of another database, in which nothing was written.
-- Raises: nothing.
-- Locks: none.
create or replace function async.void_query(
  in_database text, in_server_id text, in_election text, in_task_id bigint, in_run int
) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format('with resolved as (insert into pgasync.receipt as r (server_id, election, task_id, run, voided) '
    'select %L::pg_catalog.text, %L::pg_catalog.text, %s::pg_catalog.int8, %s::pg_catalog.int4, true '
    'where pg_catalog.current_database() operator(pg_catalog.=) %L::pg_catalog.name '
    'on conflict (server_id, election, task_id, run) do update set voided = r.voided returning r.voided) '
    'select coalesce((select v.voided::pg_catalog.text from resolved v), '
    '''database '' operator(pg_catalog.||) pg_catalog.current_database()::pg_catalog.text)',
    in_server_id, in_election, in_task_id, in_run, in_database)
$function$;

-- decide/receipts/void_settings
-- Purpose: the statement that prepares a session for async.void_query: it waits for locks for a limited
--   time, and its commits wait for no standby, which may be missing.
-- Returns: text; the statement returns one text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.void_settings() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select 'select pg_catalog.concat(pg_catalog.set_config(''lock_timeout'', ''2000'', false), '
    'pg_catalog.set_config(''synchronous_commit'', ''local'', false))'::text
$function$;

-- decide/receipts/has_its_receipts
-- Purpose: whether the server that answers certainly has the receipts of a session: it is the one at which
--   the session was registered, or has the same system identifier. An unknown identifier proves nothing.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.has_its_receipts(
  in_session async.session, in_started timestamptz, in_system_identifier text
) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(in_system_identifier = in_session.system_identifier, in_started = in_session.server_started, false)
$function$;

-- decide/receipts/open_receipts
-- Purpose: the receipts of runs on registered sessions that are not recorded, with what resolves them.
-- Returns: for each its session, its task and run, the statement for the target (async.void_query), the
--   error if it was voided, the result if it is there, and the error if its session was written off.
-- Raises: PA001 for a connection string that cannot be parsed.
-- Locks: none.
create or replace function async.open_receipts(in_sessions bigint[])
returns table (
  session_id bigint, task_id bigint, run int, query text, voided text, result text, written_off text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  return query
  select s.session_id, r.task_id, r.run,
    -- As in libpq, the name of the user is the default.
    async.void_query(coalesce(c.parsed ->> 'dbname', c.parsed ->> 'user', s.role), r.server_id, r.election, r.task_id,
      r.run),
    format('PA216: the session with target "%s" was lost while the query ran, and its receipt was voided: the query had '
      'no effect', s.target),
    case when t.keep_result_for is not null then
      '{"error": "the rows are lost with the session; the receipt says that the query has committed"}' end,
    case when s.written_off then format('outcome unknown: session %s with target "%s" was written off by %s',
      s.session_id, s.target, coalesce(s.written_off_by, 'an operator')) end
  from async.session s
  join async.receipt r on r.session_id = s.session_id
  join async.task t on t.task_id = r.task_id and t.run = r.run
  cross join async.control k
  cross join lateral (select async.parse_conninfo(
    case when s.target = k.self_target then async.self_conninfo() else s.connection_string end) as parsed) c
  where s.session_id = any (in_sessions)
    and t.processed is null and t.yielded is null and t.consumed is not null
  order by s.session_id, r.task_id;
end
$function$;

-- decide/receipts/receipt_policy
-- Purpose: the retry policy of a task with a receipt. Its text is one transaction, so no part of it
--   commits. Without a policy a lost run is retried, and the third one fails the task.
-- Returns: jsonb, as async.copy_retry_policy.
-- Raises: nothing. Locks: none.
create or replace function async.receipt_policy(in_retry jsonb)
returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(in_retry - 'commits',
    '{"name": "receipt", "max_attempts": 3, "delay_us": 0, "delay_max_us": 0, "sqlstates": ["PA216"]}')
$function$;

-- decide/sessions/backoff
-- Purpose: the backoff after a number of failures in a row: it doubles from in_first to in_last,
--   and is reduced by up to a quarter by in_random (0 to 1), so that retries do not coincide.
-- Returns: interval.
-- Raises: nothing.
-- Locks: none.
create or replace function async.backoff(in_failures int, in_first interval, in_last interval, in_random float8)
returns interval language sql immutable as $function$
  select least(in_first * power(2, least(greatest(in_failures, 1), 30) - 1), in_last)
    * (1 - in_random / 4)
$function$;

-- decide/sessions/ends_session
-- Purpose: whether an error means that the session is gone, so that the outcome of its query is
--   unknown: lost connections (08), and the errors of a backend that is ended.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.ends_session(in_code text)
returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_code like '08%' or in_code in ('57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04')
$function$;

-- decide/sessions/same_server
-- Purpose: whether two connection strings have the same host, port, database, user and password,
--   literally.
-- Returns: bool.
-- Raises: PA001 when a string cannot be parsed.
-- Locks: none.
create or replace function async.same_server(in_one text, in_other text)
returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select (o.p -> 'host', o.p -> 'hostaddr', o.p -> 'port', o.p -> 'dbname', o.p -> 'user', o.p -> 'password')
    is not distinct from
    (t.p -> 'host', t.p -> 'hostaddr', t.p -> 'port', t.p -> 'dbname', t.p -> 'user', t.p -> 'password')
  from (select async.parse_conninfo(in_one) as p) o cross join (select async.parse_conninfo(in_other) as p) t
$function$;

-- decide/sessions/identity_query
-- Purpose: the query that returns the identity of a session and of its server. Values that the role
--   may not read are null. Restricted functions are in a text that runs only if the role may call
--   them.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.identity_query()
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select $query$
select pg_catalog.json_build_array(
  s.pid, pg_catalog.current_setting('server_version_num'),
  pg_catalog.to_char(pg_catalog.timezone('utc', s.backend_start), 'YYYY-MM-DD HH24:MI:SS.US+00'), session_user,
  pg_catalog.to_char(pg_catalog.timezone('utc', pg_catalog.pg_postmaster_start_time()), 'YYYY-MM-DD HH24:MI:SS.US+00'),
  pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port(),
  case when pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
    then pg_catalog.substring(pg_catalog.query_to_xml(
      'select system_identifier as v from pg_catalog.pg_control_system()', false, false, '')::pg_catalog.text, '<v>([0-9]+)</v>')
  end,
  case when not pg_catalog.pg_is_in_recovery()
      and pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'execute')
      and pg_catalog.has_function_privilege('pg_catalog.pg_walfile_name(pg_catalog.pg_lsn)', 'execute')
    then pg_catalog.substring(pg_catalog.query_to_xml(
      'select pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) as v',
      false, false, '')::pg_catalog.text, '<v>([0-9A-F]+)</v>')
  end,
  not pg_catalog.pg_is_in_recovery() and not pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool,
  (select pg_catalog.quote_ident(n.nspname)
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'dblink'))
from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) s
  $query$
$function$;

-- decide/sessions/read_identity
-- Purpose: parses the answer to the identity query.
-- Returns: pid, version, backend_start and role of the session; start time, address, port, system
--   identifier and timeline of its server, whether the server is writable, and the schema of dblink.
-- Raises: 08P01 when the text is not such an answer.
-- Locks: none.
create or replace function async.read_identity(
  in_answer text, out pid int, out version int, out backend_start timestamptz, out role text,
  out server_started timestamptz, out server_address text, out server_port int, out system_identifier text,
  out timeline int, out writable bool, out dblink_schema text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_answer_chars_max constant int := 2000;
  v_answer jsonb;
begin
  if in_answer is null or length(in_answer) > c_answer_chars_max then
    raise data_exception;
  end if;
  v_answer := in_answer::jsonb;
  pid := v_answer ->> 0;
  version := v_answer ->> 1;
  backend_start := v_answer ->> 2;
  role := v_answer ->> 3;
  server_started := v_answer ->> 4;
  server_address := v_answer ->> 5;
  server_port := v_answer ->> 6;
  system_identifier := v_answer ->> 7;
  timeline := ('x' || lpad(v_answer ->> 8, 8, '0'))::bit(32)::int;
  writable := v_answer ->> 9;
  dblink_schema := v_answer ->> 10;
  if pid is null or version is null or backend_start is null or role is null then
    raise data_exception;
  end if;
exception when others then
  raise exception 'the session did not identify itself' using errcode = 'protocol_violation';
end
$function$;

-- decide/sessions/is_replaced
-- Purpose: whether a registered session is gone although a server with another start time answers:
--   the same server was started after the session; or, if the connection string names several
--   hosts, a writable server on a later timeline has replaced the old one. Any other server, such
--   as one behind the same load balancer, proves nothing.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_replaced(
  in_session async.session, in_started timestamptz, in_address text, in_port int, in_system_identifier text,
  in_timeline int, in_writable bool, in_many_hosts bool
) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select
    (in_address, in_port, in_system_identifier) is not distinct from
        (in_session.server_address, in_session.server_port, in_session.system_identifier)
      and coalesce(in_started > in_session.backend_start, false)
    or in_many_hosts and coalesce(
      in_writable and in_system_identifier = in_session.system_identifier and in_timeline > in_session.timeline, false)
$function$;

-- decide/sessions/is_registered_server
-- Purpose: whether the server that answers is the one that a session was registered at. Sessions
--   that an older version registered have no start time, and count as registered at any server.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_registered_server(
  in_session async.session, in_started timestamptz, in_system_identifier text
) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_session.server_started is null
    or in_started is not distinct from in_session.server_started
      and coalesce(in_system_identifier = in_session.system_identifier, true)
$function$;

-- decide/sessions/last_moved_epoch
-- Purpose: the last epoch that began on another server than the epoch before. Sessions of earlier
--   epochs may belong to a server of which this one is a copy, so they are left alone until they
--   end.
-- Returns: an epoch, 0 when there is none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.last_moved_epoch()
returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(max(e.epoch), 0) from async.election e where e.moved
$function$;

-- record/release_pools
-- Purpose: releases pool slots in the memory of the SQL engine, one for each mention of a pool. In
--   a session without that memory it does nothing, because a leader counts the pools when it
--   starts. The call of a client comes here as the owner of the schema. So a temporary table of that
--   name counts only if a member of the owner owns it: the triggers of another would run as the
--   owner.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.release_pools(in_pools text[])
returns void
language plpgsql
as $function$
begin
  if coalesce(cardinality(in_pools), 0) = 0 or not exists (
    select from pg_class c
    where c.oid = to_regclass('pg_temp.leader_pool') and c.relkind = 'r'
      and pg_has_role(c.relowner, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage'))
  then
    return;
  end if;
  update pg_temp.leader_pool p
  set taken = greatest(p.taken - d.slots, 0)
  from (select i.pool, count(*)::int as slots from unnest(in_pools) i(pool) group by i.pool) d
  where p.pool = d.pool;
end
$function$;

-- record/is_leader
-- Purpose: whether the calling session is the leader session (a routine, a trigger, the engine
--   itself): it has the pid that the leader published, its session_user is a member of the owner,
--   and it holds the lock of the last election.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_leader()
returns bool
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if pg_backend_pid() is distinct from (select c.pid from async.control c) then
    return false;
  end if;
  if not pg_has_role(session_user, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage') then
    return false;
  end if;
  return async.leader_pid() is not distinct from pg_backend_pid();
end
$function$;

-- record/hold_epoch
-- Purpose: the first statement of every write transaction of a leader: holds the epoch until the
--   transaction ends. An election (async.raise_epoch) waits for such transactions and takes stock
--   after them, so a leader that lost the lead unnoticed writes nothing.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader in row exclusive mode, which only the owner can take; waits up to
--   lock_timeout.
create or replace function async.hold_epoch(in_epoch bigint)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  lock table async.leader in row exclusive mode;
  -- A separate statement, whose snapshot is taken after the lock was granted.
  if in_epoch is distinct from (select l.epoch from async.leader l) then
    raise exception 'another orchestrator has taken the lead'
      using errcode = 'PA212', hint = 'This one writes nothing more and ends';
  end if;
end
$function$;

-- record/wait_for_commit
-- Purpose: lets the commit of this transaction wait for locks as long as it takes. A transaction that
--   notifies, which user triggers do, waits at its commit for the end of each such commit in the
--   cluster, also for its flush and its standby. A lock timeout there cannot be caught, so it would end
--   main(). Called after the last statement that may wait for another lock.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.wait_for_commit()
returns void
language plpgsql
as $function$
begin
  perform set_config('lock_timeout', '0', true);
end
$function$;

-- record/has_user_triggers
-- Purpose: whether users have row, statement or constraint triggers, or a deferrable unique
--   constraint, on async.task. Then a completion is written row by row and in two steps, and each
--   row is read back.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.has_user_triggers()
returns bool language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (
    select from pg_trigger t
    where t.tgrelid = 'async.task'::regclass and t.tgenabled <> 'D'
      and (not t.tgisinternal or t.tgfoid = 'unique_key_recheck()'::regprocedure));
end
$function$;

-- record/defer_constraints
-- Purpose: builds the statement that defers the initially deferred constraints again after `set
--   constraints all immediate` has checked them. A constraint that shares its name with one that is
--   not deferrable cannot be named, and stays immediate until the transaction ends.
-- Returns: the statement; null when the database has no such constraint.
-- Raises: nothing.
-- Locks: none.
create or replace function async.defer_constraints()
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select 'set constraints ' || string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ') || ' deferred'
    from pg_constraint c
    join pg_namespace n on n.oid = c.connamespace
    where c.condeferred
      and not exists (
        select from pg_constraint o
        where o.connamespace = c.connamespace and o.conname = c.conname and not o.condeferrable));
end
$function$;

-- record/check_constraints
-- Purpose: checks deferred constraints now, so that the block of the caller gets the error, and not
--   the commit.
-- Returns: nothing.
-- Raises: the errors of deferred constraints and constraint triggers.
-- Locks: the locks of these constraints and triggers. (The search path is
--   control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path. Every
--   name and operator is qualified.)
create or replace function async.check_constraints(
  in_defer text, in_check text default 'set constraints all immediate'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_defer is not null then
    execute in_check;
    execute in_defer;
  end if;
end
$function$;

-- record/delete_tasks
-- Purpose: deletes finished tasks from before a time, and checks deferred constraints (see
--   async.check_constraints).
-- Returns: the number of deleted rows.
-- Raises: the errors of user triggers and constraints.
-- Locks: the rows that it deletes. (The search path is control.trigger_search_path, which user
--   triggers inherit: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.delete_tasks(in_ids bigint[], in_before timestamptz, in_defer text)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_deleted int;
begin
  delete from async.task t
  where t.task_id operator(pg_catalog.=) any (in_ids)
    and t.processed operator(pg_catalog.<) in_before
    and t.tracked is not true;
  get diagnostics v_deleted := row_count;
  perform async.check_constraints(in_defer);
  return v_deleted;
end
$function$;

-- record/next_row
-- Purpose: locks the task of an event and computes the new row. The end of a query includes
--   requests that a trigger made for the same task meanwhile. An event that ends an offer locks the
--   offer first.
-- Returns: outcome null and the new row; or 'locked' (another transaction holds the row or its
--   offer), 'gone', 'rejected' (with the reason). settles: whether a second statement releases the
--   pool slot, after triggers have seen the completion. diverged: whether the requests in asked
--   changed the result of the event. noted: the attempt that ended, for async.attempt.
-- Raises: lock_not_available while the table is locked.
-- Locks: the row of async.task and its offer, until the transaction ends; never waits for a row.
-- (Longer than a screen: its checks share the row that it locked.)
create or replace function async.next_row(
  in_event async.event_t,
  out outcome text, out error text, out becomes async.task, out was_tracked bool, out settles bool,
  out diverged bool, out asked bigint[], out noted async.attempt
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
as $function$
declare
  v_event async.event_t := in_event;
  v_request record;
  v_step record;
begin
  diverged := false;
  asked := '{}';
  if in_event.event in ('WITHDRAW', 'REQUEST', 'DEADLINE', 'TAKE') then
    perform from async.offer o where o.task_id = in_event.task_id for update skip locked;
    if not found then
      perform from async.offer o where o.task_id = in_event.task_id;
      if found then
        outcome := 'locked';
        return;
      end if;
    end if;
  end if;
  select t.* into becomes from async.task t where t.task_id = in_event.task_id for no key update skip locked;
  if not found then
    perform from async.task t where t.task_id = in_event.task_id;
    outcome := case when found then 'locked' else 'gone' end;
    return;
  end if;
  if in_event.run <> becomes.run then
    outcome := 'rejected';
    error := format('the task is on run %s, this is about run %s', becomes.run, in_event.run);
    return;
  end if;
  if in_event.event in ('END_OK', 'END_ERROR', 'END_UNKNOWN') then
    for v_request in
      select r.request_id, r.status, r.error_message, r.duration, r.requested_by
      from async.request r
      where r.task_id = in_event.task_id and r.request_id <> all (coalesce(in_event.requests, '{}'))
      order by r.request_id
    loop
      asked := asked || v_request.request_id;
      if async.intention_replaces(v_event.status, v_event.message, v_request.status) then
        v_event.status := v_request.status;
        v_event.message := async.request_message(v_request.status, v_request.error_message);
        v_event.duration := v_request.duration;
        v_event.requested_by := v_request.requested_by;
        diverged := true;
      end if;
    end loop;
  end if;
  select s.* into v_step
  from async.step_task(becomes, v_event.event, v_event.status, v_event.message, v_event.known, v_event.duration,
    v_event.timeout, v_event.requested_by, v_event.at) s;
  if v_step.rejected is not null then
    outcome := 'rejected';
    error := v_step.rejected;
    return;
  end if;
  was_tracked := becomes.tracked;
  if v_step.ended_as is not null then
    noted := row(becomes.task_id, becomes.run, becomes.attempt + 1, becomes.consumed, v_event.at, v_step.ended_as,
      v_step.ended_with, v_step.attempt_ended_by);
  end if;
  settles := in_event.event not in ('CLAIM', 'OFFER', 'TAKE', 'UNREACHABLE', 'RELEASE');
  becomes.consumed := v_step.consumed;
  becomes.processed := v_step.processed;
  becomes.yielded := v_step.yielded;
  becomes.finish_status := v_step.finish_status;
  becomes.failed := v_step.failed;
  becomes.processing_error := v_step.processing_error;
  becomes.times_up := v_step.times_up;
  becomes.tracked := v_step.tracked;
  becomes.eligible_when := v_step.eligible_when;
  becomes.run := v_step.run;
  becomes.attempt := v_step.attempt;
  becomes.ended_by := v_step.ended_by;
end
$function$;

-- record/after_row
-- Purpose: updates what belongs to a row that was written or not: its offer, the requests that the
--   event settles, and the released pool slot.
-- Returns: the outcome: null as predicted, 'rewritten' when a trigger or a request changed the row
--   in another way, 'gone', or in_outcome; and the present row.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.offer and async.request that it changes. The former are locked already.
create or replace function async.after_row(
  in_event async.event_t, in_outcome text, in_becomes async.task, in_was_tracked bool, in_diverged bool,
  in_asked bigint[], out outcome text, out is_now async.task
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_found bool;
  v_offered bool;
begin
  select t.* into is_now from async.task t where t.task_id = in_event.task_id;
  v_found := found;
  outcome := coalesce(in_outcome,
    case
      when not v_found then 'gone'
      when in_diverged
        or (is_now.consumed, is_now.processed, is_now.yielded, is_now.finish_status, is_now.failed,
            is_now.processing_error, is_now.times_up, is_now.tracked, is_now.eligible_when, is_now.run,
            is_now.attempt, is_now.ended_by)
          is distinct from
          (in_becomes.consumed, in_becomes.processed, in_becomes.yielded, in_becomes.finish_status, in_becomes.failed,
            in_becomes.processing_error, in_becomes.times_up, in_becomes.tracked, in_becomes.eligible_when,
            in_becomes.run, in_becomes.attempt, in_becomes.ended_by)
        then 'rewritten'
    end);
  if outcome = 'locked' then
    return;
  end if;
  v_offered := v_found and is_now.tracked and is_now.query is null
    and is_now.consumed is null and is_now.processed is null and is_now.yielded is null;
  if in_event.event = 'OFFER' and in_outcome is null and v_offered then
    insert into async.offer (task_id, target, pool, priority, entered, timeout)
    values (is_now.task_id, is_now.target, coalesce(is_now.concurrency_pool, is_now.target), is_now.priority,
      is_now.entered, in_event.timeout)
    on conflict (task_id) do nothing;
  elsif in_event.event in ('WITHDRAW', 'REQUEST', 'DEADLINE', 'TAKE') and v_offered is not true then
    delete from async.offer o where o.task_id = in_event.task_id;
  end if;
  if coalesce(in_event.requests, '{}') || coalesce(in_asked, '{}') <> '{}'
    and (outcome is distinct from 'rejected' or is_now.processed is not null) then
    delete from async.request r where r.request_id = any (in_event.requests || in_asked);
  end if;
  if in_outcome is null and in_was_tracked and is_now.tracked is not true then
    perform async.release_pools(array[coalesce(in_becomes.concurrency_pool, in_becomes.target)]);
  end if;
end
$function$;

-- record/present_row
-- Purpose: the present row of a task that could not be written.
-- Returns: the row; null when there is none, or while the table is locked.
-- Raises: nothing.
-- Locks: none.
create or replace function async.present_row(in_task_id bigint)
returns async.task
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
as $function$
declare
  v_row async.task;
begin
  select t.* into v_row from async.task t where t.task_id = in_task_id;
  return v_row;
exception when lock_not_available then
  return null;
end
$function$;

-- record/receipts/note_receipt
-- Purpose: notes that a run may write a receipt, in the transaction of its launch mark. A run that was
--   marked and not sent may be marked for another session.
-- Returns: the election in its key.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.note_receipt(in_task_id bigint, in_run int, in_session_id bigint, in_target text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_election text;
begin
  insert into async.receipt as r (task_id, run, server_id, election, session_id, target)
  select in_task_id, in_run, l.server_id, e.nonce, in_session_id, in_target
  from async.leader l join async.election e on e.epoch = l.epoch
  on conflict (task_id, run) do update set session_id = excluded.session_id
  returning r.election into v_election;
  return v_election;
end
$function$;

-- record/receipts/launch_text
-- Purpose: the text of a launch of a task whose rows are kept, or that has a receipt, which it notes.
-- Returns: text.
-- Raises: nothing.
-- Locks: as async.note_receipt.
create or replace function async.launch_text(
  in_query text, in_keeps bool, in_receipt bool, in_task_id bigint, in_run int, in_session_id bigint, in_target text
) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_bytes_max constant int := case when in_keeps then (select c.result_bytes_max from async.control c) end;
begin
  if in_receipt is not true then
    return async.keep_query(in_query, v_bytes_max);
  end if;
  return async.receipt_query(in_query, (select l.server_id from async.leader l),
    async.note_receipt(in_task_id, in_run, in_session_id, in_target), in_task_id, in_run, v_bytes_max);
end
$function$;

-- record/results/read_result
-- Purpose: reads what a target answered for a task whose rows are kept (async.keep_query). A target may
--   answer anything, and rows that it made may be none for this server: a character that the encoding of
--   the server lacks, a value that is nested deeper than max_stack_depth of the server permits, a number
--   of another version.
-- Returns: the columns of async.result. rows is null, and error says why, if the rows cannot be stored.
-- Raises: nothing, except when this session itself is canceled.
-- Locks: none.
create or replace function async.read_result(
  in_answer text, in_bytes_max int,
  out row_count bigint, out rows jsonb, out truncated bool, out bytes int, out error text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_error_chars_max constant int := 1000;
  v_answer jsonb;
  v_bytes bytea;
begin
  begin
    v_answer := in_answer::jsonb;
    if jsonb_typeof(v_answer) <> 'object' then
      raise exception 'it is %', async.describe_json_type(jsonb_typeof(v_answer));
    end if;
    error := left(v_answer ->> 'error', c_error_chars_max);
    row_count := (v_answer ->> 'row_count')::bigint;
    truncated := coalesce((v_answer ->> 'truncated')::bool, true);
    if v_answer ->> 'rows' is null and error is null or row_count < 0 then
      raise exception 'it has no rows, or a negative number of them';
    end if;
    v_bytes := decode(v_answer ->> 'rows', 'base64');
  exception when assert_failure or others then
    row_count := null;
    truncated := true;
    v_bytes := null;
    error := left(format('the answer of the target cannot be read: %s: %s', sqlstate, sqlerrm), c_error_chars_max);
  end;
  if octet_length(v_bytes) > in_bytes_max then
    truncated := true;
    error := format('the target answered %s bytes, and result_bytes_max is %s', octet_length(v_bytes), in_bytes_max);
    return;
  end if;
  begin
    rows := convert_from(v_bytes, 'UTF8')::jsonb;
    bytes := octet_length(v_bytes);
    if jsonb_typeof(rows) <> 'array' or jsonb_array_length(rows) > coalesce(row_count, 0) then
      raise exception 'they are no array, or more than were counted';
    end if;
  exception when assert_failure or others then
    rows := null;
    bytes := null;
    truncated := true;
    error := left(format('the server cannot store the rows: %s: %s', sqlstate, sqlerrm), c_error_chars_max);
  end;
end
$function$;

-- record/results/write_results
-- Purpose: writes the results that come with events. The caller writes the ends of these tasks in the
--   same transaction.
-- Returns: nothing.
-- Raises: the errors of constraints and triggers on async.result.
-- Locks: the rows of async.result.
create or replace function async.write_results(in_events async.event_t[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_bytes_max constant int := (select c.result_bytes_max from async.control c);
  v_event async.event_t;
  v_result record;
begin
  foreach v_event in array in_events loop
    v_result := async.read_result(v_event.result, v_bytes_max);
    insert into async.result (task_id, run, row_count, rows, truncated, bytes, error)
    select t.task_id, coalesce(v_event.run, t.run), v_result.row_count, v_result.rows, v_result.truncated,
      v_result.bytes, v_result.error
    from async.task t where t.task_id = v_event.task_id
    on conflict (task_id) do update
    set run = excluded.run, row_count = excluded.row_count, rows = excluded.rows, truncated = excluded.truncated,
        bytes = excluded.bytes, error = excluded.error;
    if v_result.error is not null then
      perform async.log_quiet('WARNING', format('task %s: not all of its rows are kept: %s', v_event.task_id,
        v_result.error));
    end if;
  end loop;
end
$function$;

-- record/write_at_once
-- Purpose: applies events to their tasks in one statement for each kind. Only where users have no
--   triggers, so async.write_batch may set planner options, and the completion and the release of
--   the pool slot are one write. Claims and plain ends are almost all writes of a busy leader, so
--   they have separate statements, which repeat the rules of async.step_task and take a third less
--   work for a row.
-- Returns: the events that did not fit their rows: they are rejected, or the row changed meanwhile.
--   async.write_row finds the reason.
-- Raises: lock_not_available when another transaction holds one of the rows, and the errors of
--   constraints of users. async.write_batch handles both.
-- Locks: the rows of async.task; waits up to lock_timeout.
-- (Longer than a screen: one statement for each kind of event.)
create or replace function async.write_at_once(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[]
) returns async.event_t[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left async.event_t[] := '{}';
  v_rows bigint;
begin
  if in_claims <> '{}' then
    update async.task t
    set consumed = e.at, tracked = true, run = t.run + 1, eligible_when = null,
        times_up = least(t.expires_at,
          coalesce(nullif(t.times_up, t.expires_at), e.at + coalesce(t.manual_timeout, e.timeout), 'infinity')),
        finish_status = null, failed = null, processing_error = null
    from unnest(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts) as e(task_id, run, at, timeout)
    where t.task_id = e.task_id
      -- Always true, and selective to the planner. So it reads the arrays first and looks up each
      -- task, even if the table was small when the statement was planned.
      and e.at = e.at + interval '0'
      and (e.run is null or e.run = t.run)
      and t.consumed is null and t.yielded is null and t.processed is null and t.query is not null
      and (t.eligible_when is null or t.eligible_when <= e.at)
      and (t.times_up is null or t.times_up > e.at);
    get diagnostics v_rows = row_count;
    if v_rows < cardinality(in_claims) then
      v_left := array(
        select row(e.task_id, e.run, 'CLAIM', e.at, null, null, null, null, e.timeout, null, null, null)::async.event_t
        from unnest(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts) as e(task_id, run, at, timeout)
        where not exists (
          select from async.task t
          where t.task_id = e.task_id and t.consumed = e.at and t.run = coalesce(e.run + 1, t.run)));
    end if;
  end if;

  if in_ends <> '{}' then
    update async.task t
    set processed = e.at, finish_status = 'FINISHED', failed = false, processing_error = null, eligible_when = null,
        tracked = false
    from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at)
    where t.task_id = e.task_id
      -- As above.
      and e.at = e.at + interval '0'
      and (e.run is null or e.run = t.run)
      and t.consumed is not null and t.yielded is null and t.processed is null and t.query is not null
      and t.asynchronous_finish is not true and t.tracked
      -- A success after failed attempts is noted.
      and (t.attempt is null or t.attempt = 0);
    get diagnostics v_rows = row_count;
    -- Read again only in the session of the SQL engine, which counts pools. A RETURNING clause
    -- would cost the other engine more than this costs here.
    if v_rows > 0 and to_regclass('pg_temp.leader_pool') is not null then
      perform async.release_pools(array(
        select coalesce(t.concurrency_pool, t.target)
        from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at)
        join async.task t on t.task_id = e.task_id
        where e.at = e.at + interval '0'
          and t.processed = e.at and t.finish_status = 'FINISHED' and t.run = coalesce(e.run, t.run)));
    end if;
    if v_rows < cardinality(in_ends) then
      v_left := v_left || async.write_events_at_once(array(
        select row(e.task_id, e.run, 'END_OK', e.at, null, null, null, null, null, null, null, null)::async.event_t
        from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at)
        where not exists (
          select from async.task t
          where t.task_id = e.task_id and t.processed = e.at and t.finish_status = 'FINISHED'
            and t.run = coalesce(e.run, t.run))));
    end if;
  end if;

  if in_events <> '{}' then
    v_left := v_left || async.write_events_at_once(in_events);
  end if;
  return v_left;
end
$function$;

-- record/write_events_at_once
-- Purpose: applies events of any kind to their tasks in one statement, by the rules of
--   async.step_task; maintains the offers, notes failed attempts, writes results, and deletes the settled requests.
--   An event whose offer another transaction holds is not applied. Only where users have no triggers.
-- Returns: the events that did not fit their rows.
-- Raises: lock_not_available when another transaction holds one of the rows, and the errors of
--   constraints of users.
-- Locks: the rows of async.task; waits up to lock_timeout. The rows of async.offer, without
--   waiting.
-- (Longer than a screen: one statement.)
create or replace function async.write_events_at_once(in_events async.event_t[])
returns async.event_t[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_ending constant bigint[] := array(
    select e.task_id from unnest(in_events) e where e.event in ('WITHDRAW', 'REQUEST', 'DEADLINE', 'TAKE'));
  v_offers bigint[] := '{}';
  v_taken bigint[] := '{}';
  v_applied bigint[];
  v_released text[];
  v_noted async.attempt[];
  v_kept async.event_t[];
  v_requests bigint[];
begin
  if v_ending <> '{}' then
    v_offers := array(
      select o.task_id from async.offer o where o.task_id = any (v_ending) order by o.task_id for update skip locked);
    v_taken := array(
      select o.task_id from async.offer o where o.task_id = any (v_ending) and o.task_id <> all (v_offers));
  end if;
  with applied as (
    update async.task t
    set consumed = n.consumed, processed = n.processed, yielded = n.yielded, finish_status = n.finish_status,
        failed = n.failed, processing_error = n.processing_error, times_up = n.times_up, tracked = n.tracked,
        eligible_when = n.eligible_when, run = n.run, attempt = n.attempt, ended_by = n.ended_by,
        arrived = case when n.consumed is null and n.processed is null and n.yielded is null then txid_current()
          else t.arrived end
    from unnest(in_events) e
    join async.task o on o.task_id = e.task_id
    cross join lateral async.step_task(o, e.event, e.status, e.message, e.known, e.duration, e.timeout,
      e.requested_by, e.at) n
    where t.task_id = e.task_id
      -- Only the row version that the event was decided for.
      and t.ctid = o.ctid
      and (e.run is null or e.run = o.run)
      and n.rejected is null
      and e.task_id <> all (v_taken)
    returning t.task_id, case when o.tracked and t.tracked is not true then coalesce(t.concurrency_pool, t.target) end
      as released,
      case when n.ended_as is not null
        then row(o.task_id, o.run, o.attempt + 1, o.consumed, e.at, n.ended_as, n.ended_with,
          n.attempt_ended_by)::async.attempt end as noted,
      case when e.result is not null and (n.processed is not null or n.yielded is not null)
        then row(e.task_id, e.run, null, null, null, null, null, null, null, null, e.result, null)::async.event_t end as kept
  )
  select coalesce(array_agg(a.task_id), '{}'), array_agg(a.released) filter (where a.released is not null),
    array_agg(a.noted) filter (where a.noted is distinct from null),
    array_agg(a.kept) filter (where a.kept is distinct from null)
  into v_applied, v_released, v_noted, v_kept
  from applied a;
  if v_noted is not null then
    insert into async.attempt (task_id, run, attempt, began, ended, status, error, ended_by)
    select * from unnest(v_noted);
  end if;
  if v_kept is not null then
    perform async.write_results(v_kept);
  end if;
  perform async.release_pools(v_released);

  if v_offers <> '{}' then
    delete from async.offer o where o.task_id = any (v_offers) and o.task_id = any (v_applied);
  end if;
  insert into async.offer (task_id, target, pool, priority, entered, timeout)
  select t.task_id, t.target, coalesce(t.concurrency_pool, t.target), t.priority, t.entered, e.timeout
  from unnest(in_events) e
  join async.task t on t.task_id = e.task_id
  where e.event = 'OFFER' and e.task_id = any (v_applied)
  on conflict (task_id) do nothing;
  v_requests := array(
    select r.request_id from unnest(in_events) e cross join lateral unnest(e.requests) as r(request_id)
    where e.task_id = any (v_applied));
  if v_requests <> '{}' then
    delete from async.request r where r.request_id = any (v_requests);
  end if;
  if cardinality(v_applied) = cardinality(in_events) then
    return '{}';
  end if;
  return array(select e from unnest(in_events) e where e.task_id <> all (v_applied));
end
$function$;

-- record/as_events
-- Purpose: converts claims and plain ends to events.
-- Returns: them and the other events.
-- Raises: nothing.
-- Locks: none.
create or replace function async.as_events(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[]
) returns async.event_t[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return array(
      select row(e.task_id, e.run, 'CLAIM', e.at, null, null, null, null, e.timeout, null, null, null)::async.event_t
      from unnest(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts) as e(task_id, run, at, timeout))
    || array(
      select row(e.task_id, e.run, 'END_OK', e.at, null, null, null, null, null, null, null, null)::async.event_t
      from unnest(in_ends, in_end_runs, in_ends_at) as e(task_id, run, at))
    || coalesce(in_events, '{}');
end
$function$;

-- record/write_batch
-- Purpose: applies events where users have no triggers: all in one statement, or, if another
--   transaction holds some of the rows, those whose rows can be locked.
-- Returns: the events that are left for async.write_row; and whether the whole table is locked, so
--   that no row can be written now.
-- Raises: nothing.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.write_batch(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[], out left_over async.event_t[], out table_locked bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_held bigint[];
begin
  table_locked := false;
  begin
    left_over := async.write_at_once(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
      in_ends_at, in_events);
    return;
  exception
    when lock_not_available then null;
    when assert_failure or others then
      left_over := async.as_events(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
        in_ends_at, in_events);
      return;
  end;

  left_over := async.as_events(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
    in_ends_at, in_events);
  begin
    lock table async.task in row exclusive mode nowait;
  exception when lock_not_available then
    table_locked := true;
    return;
  end;
  begin
    v_held := array(
      select t.task_id from async.task t
      where t.task_id = any (array(select e.task_id from unnest(left_over) e))
      order by t.task_id
      for no key update skip locked);
    -- The rows are locked. Only the extension of the table may wait now.
    perform set_config('lock_timeout', '100ms', true);
    left_over := async.write_events_at_once(array(select e from unnest(left_over) e where e.task_id = any (v_held)))
      || array(select e from unnest(left_over) e where e.task_id <> all (v_held));
  exception when assert_failure or others then
    null;
  end;
end
$function$;

-- record/write_row
-- Purpose: applies one event to its task: the completion is written while tracked is still true, a
--   second statement releases the pool slot, and the row is read back, because triggers may have
--   changed it. With in_defer (see async.defer_constraints) deferred constraints are checked now.
-- Returns: the outcome: null as predicted, 'rewritten', 'rejected' (with the reason), 'locked',
--   'gone'; and the present row.
-- Raises: the errors of triggers and constraints.
-- Locks: the row; never waits for it. (The search path is control.trigger_search_path, which user
--   triggers inherit: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.write_row(
  in_event async.event_t, in_defer text, out outcome text, out error text, out is_now async.task
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_next record;
  v_after record;
begin
  v_next := async.next_row(in_event);
  if v_next.outcome is null then
    -- Before the end, so that triggers find it.
    if in_event.result is not null
      and ((v_next.becomes).processed is not null or (v_next.becomes).yielded is not null)
    then
      perform async.write_results(array[in_event]);
    end if;
    update async.task t
    set consumed = (v_next.becomes).consumed, processed = (v_next.becomes).processed,
        yielded = (v_next.becomes).yielded, finish_status = (v_next.becomes).finish_status,
        failed = (v_next.becomes).failed, processing_error = (v_next.becomes).processing_error,
        times_up = (v_next.becomes).times_up,
        tracked = case when v_next.settles and (v_next.becomes).processed is not null then t.tracked
          else (v_next.becomes).tracked end,
        eligible_when = (v_next.becomes).eligible_when, run = (v_next.becomes).run,
        attempt = (v_next.becomes).attempt, ended_by = (v_next.becomes).ended_by,
        arrived = case
          when (v_next.becomes).consumed is null and (v_next.becomes).processed is null
            and (v_next.becomes).yielded is null
          then pg_catalog.txid_current() else t.arrived end
    where t.task_id operator(pg_catalog.=) in_event.task_id;
    if (v_next.noted).task_id is not null then
      insert into async.attempt (task_id, run, attempt, began, ended, status, error, ended_by)
      select (v_next.noted).*;
    end if;
    -- A trigger may have yielded the completion, or finished the task with another status.
    if v_next.settles then
      update async.task t
      set tracked = case when t.processed is not null then false end
      where t.task_id operator(pg_catalog.=) in_event.task_id and t.tracked
        and (t.processed is not null or t.consumed is null and t.yielded is null
          or t.yielded is not null and t.track_yielded is not true);
    end if;
    perform async.check_constraints(in_defer);
  end if;
  v_after := async.after_row(in_event, v_next.outcome, v_next.becomes, v_next.was_tracked, v_next.diverged, v_next.asked);
  outcome := v_after.outcome;
  error := v_next.error;
  is_now := v_after.is_now;
end
$function$;

-- record/write_all
-- Purpose: the one writer of transitions. Claims (with the run before the claim) and plain ends
--   (END_OK without a status), the most frequent writes of a leader, are arrays. Applies each event
--   to its task, in one statement if possible, row by row where users have triggers or the
--   statement failed, so that one row that cannot be written does not hold up the others. A call
--   names a task at most once. Maintains the offers, deletes settled requests, and releases pool
--   slots in the memory of the SQL engine. With in_check, deferred constraints are checked in the
--   block of each row, so that they do not fail the commit.
-- Returns: only tasks that differ from the prediction of async.step_task. outcome is 'rejected'
--   (the event does not fit, the row is unchanged; error has the reason), 'locked' (another
--   transaction holds the row), 'failed' (a trigger or constraint raised error), 'gone' (the row
--   does not exist), 'rewritten' (a trigger or a request changed the row in another way). The other
--   columns are the present row, null when there is none or it cannot be read. With in_touched (the
--   Rust engine), the rows of async.changed_task_rows where users have triggers: 'touched' for each task
--   that finish_internal changed meanwhile, and one row 'triggers' without a task; the call is the last
--   one of its transaction. With in_epoch, the epoch is held first, and the call is a whole write
--   transaction of the Rust engine.
-- Raises: nothing because of a single row. With in_epoch, PA212 as async.hold_epoch.
-- Locks: the rows of async.task; never waits for one.
-- (Longer than a screen: one loop with a block for each row.)
create or replace function async.write_all(
  in_claims bigint[], in_claim_runs int[], in_claims_at timestamptz[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[], in_ends_at timestamptz[],
  in_events async.event_t[], in_check bool, in_touched bool default false, in_epoch bigint default null
) returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int,
  attempt int, ended_by text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  v_batch record;
  v_left async.event_t[];
  v_table_locked bool := false;
  v_triggers constant bool := async.has_user_triggers();
  v_defer text;
  v_event async.event_t;
  v_row record;
begin
  if in_epoch is not null then
    perform async.hold_epoch(in_epoch);
  end if;
  if v_triggers then
    v_left := async.as_events(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
      in_ends_at, in_events);
    if in_check then
      v_defer := async.defer_constraints();
    end if;
  else
    v_batch := async.write_batch(in_claims, in_claim_runs, in_claims_at, in_claim_timeouts, in_ends, in_end_runs,
      in_ends_at, in_events);
    v_left := v_batch.left_over;
    v_table_locked := v_batch.table_locked;
  end if;
  if not v_table_locked and cardinality(v_left) > 0 then
    -- Row by row, nothing waits for the table, not even to read the type of its rows.
    begin
      lock table async.task in row exclusive mode nowait;
    exception when lock_not_available then
      v_table_locked := true;
    end;
  end if;
  foreach v_event in array v_left loop
    task_id := v_event.task_id;
    run := v_event.run;
    event := v_event.event;
    if v_table_locked then
      outcome := 'locked';
      error := null;
      return next;
      continue;
    end if;
    begin
      v_row := async.write_row(v_event, v_defer);
      outcome := v_row.outcome;
      error := v_row.error;
      continue when outcome is null;
    exception
      when lock_not_available then
        outcome := 'locked';
        error := null;
        select null::text as outcome, null::text as error, r as is_now into v_row
        from async.present_row(v_event.task_id) r;
      when assert_failure or others then
        outcome := 'failed';
        error := sqlerrm;
        select null::text as outcome, null::text as error, r as is_now into v_row
        from async.present_row(v_event.task_id) r;
    end;
    consumed := (v_row.is_now).consumed;
    processed := (v_row.is_now).processed;
    yielded := (v_row.is_now).yielded;
    finish_status := (v_row.is_now).finish_status::text;
    failed := (v_row.is_now).failed;
    processing_error := (v_row.is_now).processing_error;
    times_up := (v_row.is_now).times_up;
    tracked := (v_row.is_now).tracked;
    eligible_when := (v_row.is_now).eligible_when;
    row_run := (v_row.is_now).run;
    attempt := coalesce((v_row.is_now).attempt, 0);
    ended_by := (v_row.is_now).ended_by;
    return next;
  end loop;
  -- One call for two functions: a busy leader asks for its triggers with every batch.
  if v_triggers and in_touched then
    perform async.wait_for_commit();
    return query select * from async.changed_task_rows();
  end if;
end
$function$;

-- record/write_events
-- Purpose: async.write_all without the arrays for claims and plain ends.
-- Returns: as async.write_all.
-- Raises: nothing because of a single row.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.write_events(in_events async.event_t[])
returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int,
  attempt int, ended_by text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select * from async.write_all(null, null, null, null, null, null, null, in_events, true, true);
end
$function$;

-- record/write_now
-- Purpose: the writer for the transaction of a client (async.restart_task). Errors of user triggers
--   and constraints fail the call. Deferred constraints are checked at the commit of the client.
-- Returns: the tasks to which their events were not applied, with outcome and error as in
--   async.write_events.
-- Raises: the errors of triggers and constraints.
-- Locks: the rows of async.task; waits up to lock_timeout for one, unless the caller holds it
--   already.
create or replace function async.write_now(in_events async.event_t[])
returns table (task_id bigint, outcome text, error text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left async.event_t[] := in_events;
  v_event async.event_t;
  v_row record;
begin
  if not async.has_user_triggers() then
    v_left := async.write_events_at_once(in_events);
  end if;
  foreach v_event in array v_left loop
    v_row := async.write_row(v_event, null);
    if v_row.outcome is not null then
      task_id := v_event.task_id;
      outcome := v_row.outcome;
      error := v_row.error;
      return next;
    end if;
  end loop;
end
$function$;

-- record/restrict_restarted
-- Purpose: notes in tasks that were restarted whether the role that restarted them may reach the
--   server itself. It is not a transition, so there is no event for it.
-- Returns: nothing.
-- Raises: the errors of user triggers.
-- Locks: the rows of the tasks, until the end of the transaction. (The search path is
--   control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path. Every
--   name and operator is qualified.)
create or replace function async.restrict_restarted(in_task_ids bigint[], in_reaches_self bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update async.task t set may_reach_self = case when not in_reaches_self then false end
  where t.task_id operator(pg_catalog.=) any (in_task_ids)
    and (t.may_reach_self is not false) operator(pg_catalog.<>) in_reaches_self;
end
$function$;

-- record/finish_internal
-- Purpose: async.finish in the leader session, for routines and for triggers on async.task, also
--   while the leader records another completion. A task whose query runs gets a request, which the
--   leader applies like that of a client. Any other unfinished task changes at once. A finished one
--   does not change. In a trigger a null status means the status that the end of the query would
--   give: FINISHED, or YIELDED for a task that finishes asynchronously.
-- Returns: nothing.
-- Raises: PA201 outside of the leader session; PA202 for a null status outside of a trigger; PA203
--   for a deferral without a duration.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.finish_internal(
  _task_ids bigint[],
  _status async.finish_status_t,
  _context text,
  _error_message text,
  _duration interval
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_message constant text := async.cut_text(_error_message);
  v_events async.event_t[];
begin
  if not async.is_leader() then
    raise exception 'finish_internal belongs to the orchestrator''s own session'
      using errcode = 'PA201', hint = 'Call async.finish(...) instead';
  end if;
  if _status is null and pg_trigger_depth() = 0 then
    raise exception '%: a status is required', coalesce(_context, 'finish_internal')
      using errcode = 'PA202', hint = 'A null status has a meaning only in a trigger on async.task';
  end if;
  if _status = 'DEFERRED'::async.finish_status_t and _duration is null then
    raise exception '%: a deferral needs a duration', coalesce(_context, 'finish_internal')
      using errcode = 'PA203', hint = 'Pass the interval after which the task may run again';
  end if;

  insert into async.request (task_id, status, error_message, duration)
  select
    t.task_id,
    coalesce(_status,
      case when t.asynchronous_finish then 'YIELDED' else 'FINISHED' end::async.finish_status_t),
    v_message, _duration
  from async.task t
  where t.task_id = any (_task_ids)
    and t.processed is null and t.yielded is null and t.consumed is not null and t.query is not null
  order by t.task_id;

  v_events := array(
    select row(t.task_id, null, 'REQUEST', clock_timestamp(),
      coalesce(_status,
        case when t.asynchronous_finish then 'YIELDED' else 'FINISHED' end::async.finish_status_t),
      v_message, null, _duration, null, null, null, session_user)::async.event_t
    from async.task t
    where t.task_id = any (_task_ids)
      and t.processed is null and (t.yielded is not null or t.consumed is null or t.query is null)
    order by t.task_id);
  if v_events <> '{}' then
    perform async.note_changed_tasks(array(select e.task_id from unnest(v_events) e));
    -- Rows that a client holds get a request, like those of running queries. Constraints are not
    -- checked here: the caller, a trigger or a routine, may have more to change first.
    insert into async.request (task_id, status, error_message, duration)
    select w.task_id, e.status, e.message, e.duration
    from async.write_all(null, null, null, null, null, null, null, v_events, false) w
    join unnest(v_events) e on e.task_id = w.task_id
    where w.outcome = any (array['locked', 'failed']);
  end if;
end
$function$;

-- Purpose: async.finish_internal without a duration, for routines written for the original library.
-- Returns: nothing.
-- Raises: as async.finish_internal with a duration.
-- Locks: as async.finish_internal with a duration.
create or replace function async.finish_internal(
  _task_ids bigint[],
  _status async.finish_status_t,
  _context text,
  _error_message text
) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish_internal(_task_ids, _status, _context, _error_message, null::interval)
$function$;

-- both_engines/set_asleep
-- Purpose: states whether pushes and requests have to notify the leader (async.wake_leader). The
--   value counts at once, before the commit. An unchanged value is not written.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; async.leader_sleep in row exclusive mode.
create or replace function async.set_asleep(in_epoch bigint, in_asleep bool)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.hold_epoch(in_epoch);
  perform setval('async.leader_sleep', in_asleep::int)
  from async.leader_sleep s where s.last_value <> in_asleep::int;
end
$function$;

-- both_engines/open_writers
-- Purpose: the open transactions that may have read async.leader_sleep, by their ids: those that
--   hold the lock of that read, or a lock with which they write tasks or requests (the functions of
--   an earlier version did not read async.leader_sleep). Other roles cannot take the first lock, and
--   take the second one only by a write of their own. A prepared transaction keeps its id and its
--   locks. What an ended transaction wrote is visible to the next statement.
-- Returns: ids of 64 bits, as of txid_current.
-- Raises: nothing.
-- Locks: none.
create or replace function async.open_writers()
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- An id in pg_locks has 32 bits. Those of open transactions differ by less than 2^31 from this.
  v_near constant bigint := txid_snapshot_xmax(txid_current_snapshot());
begin
  return query
    -- Read once: a transaction that is being prepared changes its virtualtransaction.
    with held as (
      select l.virtualtransaction, l.locktype, l.database, l.relation, l.transactionid, l.mode
      from pg_locks l
      where l.granted and l.pid is distinct from pg_backend_pid()
    )
    select v_near + ((x.transactionid::text::bigint - v_near + 2147483648) & 4294967295) - 2147483648
    from held x
    where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
      and exists (
        select from held r
        where r.virtualtransaction = x.virtualtransaction and r.locktype = 'relation'
          and r.database = (select d.oid from pg_database d where d.datname = current_database())
          and (r.relation = 'async.leader_sleep'::regclass
            or r.relation in ('async.task'::regclass, 'async.request'::regclass)
              and r.mode not in ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock', 'ShareLock')));
end
$function$;

-- both_engines/writers_are_open
-- Purpose: whether a transaction with an id below in_before is open that may have found the leader
--   awake (see async.fall_asleep).
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.writers_are_open(in_before bigint)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (select from async.open_writers() w where w < in_before);
end
$function$;

-- both_engines/fall_asleep
-- Purpose: lets pushes and requests notify the leader from now on. The leader polls in a later
--   statement, and again when the transactions have ended that may have found it awake.
-- Returns: the transaction id below which such transactions are (0: none is open), and whether one
--   is open; nulls when an election holds the lock, then the leader stays awake.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: as async.set_asleep; waits up to lock_timeout. (The commit is not waited for: a crash may
--   undo it, and ends the lead.)
create or replace function async.fall_asleep(in_epoch bigint, out out_before bigint, out out_open bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('synchronous_commit', 'off', true);
  begin
    perform async.set_asleep(in_epoch, true);
  exception when lock_not_available then
    return;
  end;
  -- A transaction that found the leader awake had its id before, and is open or visible now. Later
  -- transactions get greater ids.
  select coalesce(max(w) + 1, 0), count(*) > 0 into out_before, out_open from async.open_writers() w;
end
$function$;

-- configure/configuration_keys
-- Purpose: the keys that async.configure accepts: the columns of the five tables, and max_workers
--   for a target.
-- Returns: section, key and kind (see async.check_setting).
-- Raises: nothing. Locks: none.
create or replace function async.configuration_keys()
returns table (out_section text, out_key text, out_kind text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  values
    ('control', 'enabled', 'bool'),
    ('control', 'workers', 'positive int'),
    ('control', 'idle_sleep', 'seconds'),
    ('control', 'heavy_maintenance_sleep', 'interval'),
    ('control', 'task_keep_duration', 'interval'),
    ('control', 'default_timeout', 'timeout'),
    ('control', 'advisory_mutex_id', 'int'),
    ('control', 'self_target', 'name'),
    ('control', 'self_connection_string', 'own connection string'),
    ('control', 'self_concurrency', 'positive int'),
    ('control', 'last_heavy_maintenance', 'ignored'),
    ('control', 'running_since', 'ignored'),
    ('control', 'paused', 'bool'),
    ('control', 'pid', 'ignored'),
    ('control', 'busy_sleep', 'seconds'),
    ('control', 'light_maintenance_sleep', 'interval'),
    ('control', 'last_light_maintenance', 'ignored'),
    ('control', 'default_concurrency_pool_workers', 'size'),
    ('control', 'startup_routines', 'routines'),
    ('control', 'loop_routines', 'routines'),
    ('control', 'version', 'ignored'),
    ('control', 'debug_log', 'bool'),
    ('control', 'target_patience', 'interval'),
    ('control', 'takeover_grace', 'interval'),
    ('control', 'default_retry', 'name'),
    ('control', 'result_bytes_max', 'result bytes'),
    ('control', 'receipt_keep', 'interval'),
    -- Only the owner may change it: async.set_trigger_search_path.
    ('control', 'trigger_search_path', 'ignored'),
    ('target', 'target', 'name'),
    ('target', 'max_concurrency', 'size'),
    ('target', 'max_workers', 'size'),
    ('target', 'connection_string', 'connection string'),
    ('target', 'asynchronous_finish', 'bool'),
    ('target', 'default_timeout', 'timeout'),
    ('target', 'max_sessions', 'positive int'),
    ('target', 'concurrency_track_yielded', 'bool'),
    ('target', 'session_reset', 'bool'),
    ('target', 'receipts', 'bool'),
    ('target', 'tags', 'tags'),
    ('target', 'default_retry', 'name'),
    ('target', 'paused', 'bool'),
    ('target', 'retired', 'bool'),
    ('concurrency_pool', 'concurrency_pool', 'name'),
    ('concurrency_pool', 'max_workers', 'size'),
    ('concurrency_pool', 'starts_max', 'size'),
    ('concurrency_pool', 'interval', 'timeout'),
    ('concurrency_pool', 'paused', 'bool'),
    ('concurrency_pool', 'retired', 'bool'),
    ('retry_policy', 'retry_policy', 'policy name'),
    ('retry_policy', 'max_attempts', 'attempts'),
    ('retry_policy', 'delay', 'interval'),
    ('retry_policy', 'backoff', 'factor'),
    ('retry_policy', 'delay_max', 'interval'),
    ('retry_policy', 'jitter', 'share'),
    ('retry_policy', 'sqlstates', 'sqlstates'),
    ('retry_policy', 'timeouts', 'bool'),
    ('retry_policy', 'unreachable', 'bool'),
    ('retry_policy', 'unknown', 'bool'),
    ('retry_policy', 'may_run_twice', 'bool'),
    ('schedule', 'schedule', 'name'),
    ('schedule', 'when', 'text'),
    ('schedule', 'time_zone', 'name'),
    ('schedule', 'query', 'text'),
    ('schedule', 'target', 'name'),
    ('schedule', 'overlap', 'overlap'),
    ('schedule', 'catch_up', 'catch up'),
    ('schedule', 'priority', 'int'),
    ('schedule', 'concurrency_pool', 'name'),
    ('schedule', 'timeout', 'timeout'),
    ('schedule', 'task_data', 'any'),
    ('schedule', 'track_yielded', 'bool'),
    ('schedule', 'source', 'name'),
    ('schedule', 'retry', 'name'),
    ('schedule', 'expires_after', 'timeout'),
    ('schedule', 'receipt', 'bool'),
    ('schedule', 'paused', 'bool'),
    ('schedule', 'owner', 'ignored'),
    ('schedule', 'configured', 'ignored'),
    ('schedule', 'last_time', 'ignored'),
    ('schedule', 'next_time', 'ignored'),
    ('schedule', 'look_at', 'ignored'),
    ('schedule', 'last_fired', 'ignored'),
    ('schedule', 'last_task_id', 'ignored'),
    ('schedule', 'last_skipped', 'ignored'),
    ('schedule', 'last_refused', 'ignored'),
    ('schedule', 'last_refusal', 'ignored'),
    ('schedule', 'refusal_logged', 'ignored')
$function$;

-- configure/describe_json_type
-- Purpose: the name of a JSON type in a sentence.
-- Returns: the name with its article.
-- Raises: nothing. Locks: none.
create or replace function async.describe_json_type(in_type text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_type = 'boolean' then 'true or false'
    when in_type = 'null' then 'null'
    when in_type in ('array', 'object') then 'an ' || in_type
    else 'a ' || in_type
  end
$function$;

-- configure/refuse_configuration
-- Purpose: raises the error with which async.configure refuses a document.
-- Returns: nothing; it always raises.
-- Raises: PA060.
-- Locks: none.
create or replace function async.refuse_configuration(in_path text, in_problem text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception '%: %', in_path, in_problem
    using errcode = 'PA060', hint = 'Nothing was changed. Mend the document and configure again.';
end
$function$;

-- schedules/schedule_overlaps
-- Purpose: the names of what a time of a schedule does while a task of it is unfinished.
-- Returns: the names.
-- Raises: nothing. Locks: none.
create or replace function async.schedule_overlaps() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select '{skip,buffer_one,buffer_all,cancel_other,allow_all}'::text[]
$function$;

-- schedules/schedule_catch_ups
-- Purpose: the names of which times of a schedule fire later.
-- Returns: the names.
-- Raises: nothing. Locks: none.
create or replace function async.schedule_catch_ups() returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select '{none,last,all}'::text[]
$function$;

-- configure/check_setting
-- Purpose: checks the value of a setting. A null keeps the present value and is always valid.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
-- (Longer than a screen: a list of kinds of settings.)
create or replace function async.check_setting(in_path text, in_kind text, in_value jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_sqlstates_max constant int := 100;
  v_type text := jsonb_typeof(in_value);
  v_text text := in_value #>> '{}';
  v_wanted text := case
    when in_kind = 'bool' then 'true or false'
    when in_kind in ('routines', 'tags', 'sqlstates') then 'an array'
    when in_kind in ('int', 'size', 'positive int', 'attempts', 'result bytes', 'seconds', 'factor', 'share') then 'a number'
    else 'a string'
  end;
  v_interval interval;
begin
  if in_kind in ('ignored', 'any') or v_type = 'null' then
    return;
  end if;
  if async.describe_json_type(v_type) <> v_wanted then
    perform async.refuse_configuration(in_path, format('must be %s, not %s',
      v_wanted, async.describe_json_type(v_type)));
  end if;

  if in_kind in ('int', 'size', 'positive int', 'attempts', 'result bytes') then
    if v_text !~ '^-?[0-9]+$' or v_text::numeric not between -2147483648 and 2147483647 then
      perform async.refuse_configuration(in_path,
        format('must be a whole number between -2147483648 and 2147483647, not %s', left(v_text, 40)));
    elsif in_kind = 'size' and v_text::numeric < 0 then
      perform async.refuse_configuration(in_path, format('must not be negative, and is %s', v_text));
    elsif in_kind = 'positive int' and v_text::numeric < 1 then
      perform async.refuse_configuration(in_path, format('must be at least 1, and is %s', v_text));
    elsif in_kind = 'attempts' and v_text::numeric not between 1 and 1000 then
      perform async.refuse_configuration(in_path, format('must be between 1 and 1000, and is %s', v_text));
    elsif in_kind = 'result bytes' and v_text::numeric not between 1024 and 16777216 then
      perform async.refuse_configuration(in_path, format('must be between 1024 and 16777216, and is %s', v_text));
    end if;
  elsif in_kind = 'seconds' then
    if v_text::numeric not between 0 and 86400 then
      perform async.refuse_configuration(in_path,
        format('must be between 0 and 86400 seconds, and is %s', left(v_text, 40)));
    end if;
  elsif in_kind in ('factor', 'share') then
    if v_text::numeric < (in_kind = 'factor')::int
      or v_text::numeric > (case in_kind when 'factor' then 100 else 1 end)
      or v_text::numeric <> round(v_text::numeric, 3) then
      perform async.refuse_configuration(in_path, format('must be between %s with at most three decimals, and is %s',
        case in_kind when 'factor' then '1 and 100' else '0 and 1' end, left(v_text, 40)));
    end if;
  elsif in_kind in ('interval', 'timeout') then
    begin
      v_interval := v_text::interval;
    exception
      when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
        perform async.refuse_configuration(in_path, format('%L is no interval', v_text));
    end;
    if v_interval < '0'::interval or (in_kind = 'timeout' and v_interval = '0'::interval) then
      perform async.refuse_configuration(in_path,
        format('must be %s, and is %L',
          case in_kind when 'timeout' then 'longer than nothing' else 'at least 0' end, v_text));
    elsif not (isfinite(v_interval) and async.is_usable_duration(v_interval)) then
      perform async.refuse_configuration(in_path, format('%L reaches beyond the end of time', v_text));
    end if;
  elsif in_kind in ('name', 'policy name') then
    if btrim(v_text, E' \t\n\r\f\x0b') = '' then
      perform async.refuse_configuration(in_path, 'must not be empty');
    elsif octet_length(v_text) > async.name_bytes_max() then
      perform async.refuse_configuration(in_path,
        format('must not be longer than %s bytes', async.name_bytes_max()));
    elsif in_kind = 'policy name' and v_text = 'none' then
      perform async.refuse_configuration(in_path, 'must not be none, which stands for no policy');
    end if;
  elsif in_kind in ('connection string', 'own connection string') then
    begin
      perform async.check_connection_string(v_text);
    exception
      when sqlstate 'PA001' then
        perform async.refuse_configuration(in_path, sqlerrm);
    end;
    -- The SQL engine reaches the server itself with it.
    if in_kind = 'own connection string' and async.references_secret(v_text) then
      perform async.refuse_configuration(in_path, 'must have no reference to a secret');
    end if;
  elsif in_kind in ('routines', 'tags') then
    if exists (
      select from jsonb_array_elements(in_value) r
      where jsonb_typeof(r) <> 'string' or btrim(r #>> '{}', E' \t\n\r\f\x0b') = '')
    then
      perform async.refuse_configuration(in_path, 'must be an array of strings that are not empty');
    elsif in_kind = 'tags' and exists (
      select from jsonb_array_elements(in_value) r where octet_length(r #>> '{}') > async.name_bytes_max())
    then
      perform async.refuse_configuration(in_path, format('no tag must be longer than %s bytes', async.name_bytes_max()));
    end if;
  elsif in_kind in ('overlap', 'catch up') then
    if v_text <> all (case in_kind when 'overlap' then async.schedule_overlaps() else async.schedule_catch_ups() end) then
      perform async.refuse_configuration(in_path, format('must be one of %s, not %L', array_to_string(
        case in_kind when 'overlap' then async.schedule_overlaps() else async.schedule_catch_ups() end, ', '),
        left(v_text, 100)));
    end if;
  elsif in_kind = 'sqlstates' then
    if jsonb_array_length(in_value) > c_sqlstates_max or exists (
      select from jsonb_array_elements(in_value) s
      where jsonb_typeof(s) <> 'string' or s #>> '{}' !~ '^([0-9A-Z]{2}|[0-9A-Z]{5}|transient|any|reported)$')
    then
      perform async.refuse_configuration(in_path, format('must be an array of up to %s SQLSTATEs, classes of two '
        'characters, and the names transient, any and reported', c_sqlstates_max));
    end if;
  end if;
end
$function$;

-- configure/check_section
-- Purpose: checks an object. Refuses an unknown key and an invalid value.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_section(in_path text, in_section text, in_object jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_setting record;
begin
  if jsonb_typeof(in_object) <> 'object' then
    perform async.refuse_configuration(in_path,
      format('must be an object, not %s', async.describe_json_type(jsonb_typeof(in_object))));
  end if;
  for v_setting in
    select s.key, s.value, k.out_kind as kind
    from jsonb_each(in_object) s
    left join async.configuration_keys() k on k.out_section = in_section and k.out_key = s.key
    order by s.key collate "C"
  loop
    if v_setting.kind is null then
      perform async.refuse_configuration(in_path || '.' || v_setting.key, 'is no setting');
    end if;
    perform async.check_setting(in_path || '.' || v_setting.key, v_setting.kind, v_setting.value);
  end loop;
end
$function$;

-- configure/check_entries
-- Purpose: checks a list of targets or pools. Refuses an invalid entry, an entry without a name,
--   and a repeated name.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_entries(in_path text, in_section text, in_list jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_entry record;
  v_names text[] := '{}';
begin
  if jsonb_typeof(in_list) <> 'array' then
    perform async.refuse_configuration(in_path,
      format('must be an array, not %s', async.describe_json_type(jsonb_typeof(in_list))));
  end if;
  for v_entry in
    select format('%s[%s]', in_path, e.place - 1) as path, e.value, e.value ->> in_section as name
    from jsonb_array_elements(in_list) with ordinality as e(value, place)
    order by e.place
  loop
    perform async.check_section(v_entry.path, in_section, v_entry.value);
    if v_entry.name is null then
      perform async.refuse_configuration(v_entry.path || '.' || in_section, 'is required');
    elsif v_entry.name = any (v_names) then
      perform async.refuse_configuration(v_entry.path || '.' || in_section, format('%L is given twice', v_entry.name));
    end if;
    v_names := v_names || v_entry.name;
  end loop;
end
$function$;

-- configure/merge_self_setting
-- Purpose: adds a setting from the entry of the self target to control.
-- Returns: in_control with the setting.
-- Raises: PA060 when control has another value for it.
-- Locks: none.
create or replace function async.merge_self_setting(
  in_control jsonb, in_key text, in_path text, in_kind text, in_value jsonb) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_value is null then
    return in_control;
  end if;
  perform async.check_setting(in_path, in_kind, in_value);
  if in_control ->> in_key is not null and in_control -> in_key <> in_value then
    perform async.refuse_configuration(in_path, format('differs from control.%s, which means the same', in_key));
  end if;
  return in_control || jsonb_build_object(in_key, in_value);
end
$function$;

-- configure/check_targets
-- Purpose: checks targets. Refuses contradictory settings, and a new target without a connection
--   string. Size and connection string in the entry of the self target are those of control.
-- Returns: in_control with the settings of that entry.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_targets(in_targets jsonb, in_control jsonb, in_self text) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control jsonb := in_control;
  v_entry record;
begin
  for v_entry in
    select format('targets[%s]', e.place - 1) as path, e.target, e.retired, e.max_concurrency, e.max_workers,
      e.connection_string, e.asynchronous_finish, t.target is not null as known
    from (
      select a.place, r.*
      from jsonb_array_elements(in_targets) with ordinality as a(value, place)
      cross join jsonb_to_record(a.value) as r(target text, retired bool, max_concurrency int, max_workers int,
        connection_string text, asynchronous_finish bool)
    ) e
    left join async.target t on t.target = e.target
    order by e.place
  loop
    if v_entry.max_workers <> v_entry.max_concurrency then
      perform async.refuse_configuration(v_entry.path || '.max_workers',
        format('is %s while max_concurrency, which means the same, is %s',
          v_entry.max_workers, v_entry.max_concurrency));
    end if;
    if v_entry.target = in_self then
      if v_entry.retired then
        perform async.refuse_configuration(v_entry.path || '.retired', 'the server itself cannot be retired');
      end if;
      v_control := async.merge_self_setting(v_control, 'self_concurrency',
        v_entry.path || case when v_entry.max_workers is null then '.max_concurrency' else '.max_workers' end,
        'positive int', to_jsonb(coalesce(v_entry.max_workers, v_entry.max_concurrency)));
      v_control := async.merge_self_setting(v_control, 'self_connection_string', v_entry.path || '.connection_string',
        'own connection string', to_jsonb(v_entry.connection_string));
    elsif not v_entry.known and v_entry.connection_string is null and v_entry.asynchronous_finish is not true then
      -- Clients may pull the tasks of a target that finishes asynchronously, so it needs no
      -- connection string.
      perform async.refuse_configuration(v_entry.path || '.connection_string', 'is required for a new target');
    end if;
  end loop;
  return v_control;
end
$function$;

-- configure/refuse_owner_settings
-- Purpose: refuses changes of the settings by which something runs as the owner: routines, and how
--   the server itself is reached. A value that is there already is accepted, so that a document that
--   was read can be given back. For roles other than the owner.
-- Returns: nothing.
-- Raises: PA084.
-- Locks: none.
create or replace function async.refuse_owner_settings(in_control jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_key text;
begin
  select n.key into v_key
  from async.control c
  cross join lateral jsonb_each(in_control) n
  where n.key in ('self_target', 'self_connection_string', 'startup_routines', 'loop_routines')
    and n.value <> 'null'
    and n.value is distinct from to_jsonb(c) -> n.key
  order by n.key collate "C"
  limit 1;
  if v_key is not null then
    raise exception 'control.%: only the owner of the schema async may change it', v_key
      using errcode = 'PA084', hint = 'Nothing was changed. Leave it out, or configure as the owner.';
  end if;
end
$function$;

-- configure/refuse_owner_strings
-- Purpose: refuses connection strings of targets that only the owner may write. A string that is there
--   already is accepted, also when the entry does not name it. For roles other than the owner.
-- Returns: nothing.
-- Raises: PA084.
-- Locks: none.
create or replace function async.refuse_owner_strings(in_targets jsonb, in_self text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_entry record;
begin
  select e.place - 1 as position, async.owner_string_reason(e.value ->> 'connection_string') as reason into v_entry
  from jsonb_array_elements(in_targets) with ordinality as e(value, place)
  left join async.target t on t.target = e.value ->> 'target'
  -- The string of the server itself is a setting of control.
  where e.value ->> 'target' <> in_self
    and e.value ->> 'connection_string' is not null
    and e.value ->> 'connection_string' is distinct from t.connection_string
    and async.owner_string_reason(e.value ->> 'connection_string') is not null
  order by e.place
  limit 1;
  if found then
    raise exception 'targets[%].connection_string: %, so only the owner of the schema async may write it',
      v_entry.position, v_entry.reason
      using errcode = 'PA084', hint = 'Nothing was changed. Name a host, or configure as the owner.';
  end if;
end
$function$;

-- configure/apply_control
-- Purpose: writes the given settings of control, and applies them to the self target. A new self
--   target is a new row. The old one is retired, because tasks refer to it.
-- Returns: nothing.
-- Raises: PA060 when the new name of the self target is the name of another target.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_control(in_control jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_old text := (select c.self_target from async.control c);
  v_new text := coalesce(in_control ->> 'self_target', v_old);
begin
  if v_new <> v_old and exists (select from async.target t where t.target = v_new and not t.retired) then
    perform async.refuse_configuration('control.self_target', format('%L is another target''s name', v_new));
  end if;

  update async.control c set
    enabled = n.enabled,
    workers = n.workers,
    idle_sleep = n.idle_sleep,
    heavy_maintenance_sleep = n.heavy_maintenance_sleep,
    task_keep_duration = n.task_keep_duration,
    default_timeout = n.default_timeout,
    advisory_mutex_id = n.advisory_mutex_id,
    self_target = n.self_target,
    self_connection_string = n.self_connection_string,
    self_concurrency = n.self_concurrency,
    paused = n.paused,
    busy_sleep = n.busy_sleep,
    light_maintenance_sleep = n.light_maintenance_sleep,
    default_concurrency_pool_workers = n.default_concurrency_pool_workers,
    startup_routines = n.startup_routines,
    loop_routines = n.loop_routines,
    debug_log = n.debug_log,
    target_patience = n.target_patience,
    takeover_grace = n.takeover_grace,
    default_retry = n.default_retry,
    result_bytes_max = n.result_bytes_max,
    receipt_keep = n.receipt_keep
  from async.control o, jsonb_populate_record(o, in_control) n
  where n.* is distinct from o.*;

  update async.target t set retired = true where t.target = v_old and v_new <> v_old;
  insert into async.target (target, max_concurrency, connection_string)
  select c.self_target, c.self_concurrency, c.self_connection_string
  from async.control c
  where not exists (select from async.target t where t.target = c.self_target);
  update async.target t set
    max_concurrency = c.self_concurrency,
    connection_string = c.self_connection_string,
    retired = false
  from async.control c
  where t.target = c.self_target
    and (t.max_concurrency, t.connection_string, t.retired)
      is distinct from (c.self_concurrency, c.self_connection_string, false);
end
$function$;

-- configure/apply_targets
-- Purpose: makes the given list the configured targets, besides the self target: changes, adds and
--   revives targets, and retires the others.
-- Returns: nothing.
-- Raises: nothing. The document was checked.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_targets(in_targets jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_retired text;
begin
  update async.target t set
    max_concurrency = coalesce(e.max_workers, e.max_concurrency, t.max_concurrency),
    connection_string = coalesce(e.connection_string, t.connection_string),
    asynchronous_finish = coalesce(e.asynchronous_finish, t.asynchronous_finish),
    default_timeout = coalesce(e.default_timeout, t.default_timeout),
    max_sessions = coalesce(e.max_sessions, t.max_sessions),
    concurrency_track_yielded = coalesce(e.concurrency_track_yielded, t.concurrency_track_yielded),
    session_reset = coalesce(e.session_reset, t.session_reset),
    receipts = coalesce(e.receipts, t.receipts),
    tags = coalesce(e.tags, t.tags),
    default_retry = coalesce(e.default_retry, t.default_retry),
    paused = coalesce(e.paused, t.paused),
    retired = coalesce(e.retired, false)
  from jsonb_to_recordset(in_targets) as e(target text, max_concurrency int, max_workers int, connection_string text,
    asynchronous_finish bool, default_timeout interval, max_sessions int, concurrency_track_yielded bool,
    session_reset bool, receipts bool, tags text[], default_retry text, paused bool, retired bool)
  where t.target = e.target;

  insert into async.target (target, max_concurrency, connection_string, asynchronous_finish, default_timeout,
    max_sessions, concurrency_track_yielded, session_reset, receipts, tags, default_retry, paused, retired)
  select e.target, coalesce(e.max_workers, e.max_concurrency, 8), e.connection_string,
    coalesce(e.asynchronous_finish, false), e.default_timeout, e.max_sessions,
    coalesce(e.concurrency_track_yielded, false), coalesce(e.session_reset, true), coalesce(e.receipts, false),
    coalesce(e.tags, '{}'), e.default_retry, coalesce(e.paused, false), coalesce(e.retired, false)
  from jsonb_to_recordset(in_targets) as e(target text, max_concurrency int, max_workers int, connection_string text,
    asynchronous_finish bool, default_timeout interval, max_sessions int, concurrency_track_yielded bool,
    session_reset bool, receipts bool, tags text[], default_retry text, paused bool, retired bool)
  where not exists (select from async.target t where t.target = e.target);

  with retired as (
    update async.target t set retired = true
    where not t.retired
      and t.target <> (select c.self_target from async.control c)
      and not exists (select from jsonb_array_elements(in_targets) e where e ->> 'target' = t.target)
    returning t.target
  )
  select string_agg(quote_ident(r.target), ', ' order by r.target) into v_retired from retired r;
  if v_retired is not null then
    raise notice 'the document leaves out these targets, which are retired now: %', v_retired
      using hint = 'async.set_target changes one target and leaves the others as they are.';
  end if;
end
$function$;

-- configure/apply_pools
-- Purpose: makes the given list the configured pools: changes, adds and revives pools, and retires
--   the others.
-- Returns: nothing.
-- Raises: PA060 for a new pool without a size, and for a limit on starts without its interval.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_pools(in_pools jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_path text;
  v_sizeless bool;
  v_retired text;
begin
  select format('concurrency_pools[%s].', e.place - 1),
    p.concurrency_pool is null and e.value ->> 'max_workers' is null
  into v_path, v_sizeless
  from jsonb_array_elements(in_pools) with ordinality as e(value, place)
  left join async.concurrency_pool p on p.concurrency_pool = e.value ->> 'concurrency_pool'
  where p.concurrency_pool is null and e.value ->> 'max_workers' is null
    or coalesce((e.value ->> 'starts_max')::int, p.starts_max) > 0
      and e.value ->> 'interval' is null and p.interval is null
  order by e.place
  limit 1;
  if v_sizeless then
    perform async.refuse_configuration(v_path || 'max_workers', 'is required for a new pool');
  elsif v_path is not null then
    perform async.refuse_configuration(v_path || 'interval', 'is required for a limit on starts');
  end if;

  update async.concurrency_pool p set
    max_workers = coalesce(e.max_workers, p.max_workers),
    starts_max = coalesce(e.starts_max, p.starts_max),
    interval = coalesce(e.interval, p.interval),
    paused = coalesce(e.paused, p.paused),
    retired = coalesce(e.retired, false)
  from jsonb_to_recordset(in_pools)
    as e(concurrency_pool text, max_workers int, starts_max int, interval interval, paused bool, retired bool)
  where p.concurrency_pool = e.concurrency_pool;

  insert into async.concurrency_pool (concurrency_pool, max_workers, starts_max, interval, paused, retired)
  select e.concurrency_pool, e.max_workers, coalesce(e.starts_max, 0), e.interval,
    coalesce(e.paused, false), coalesce(e.retired, false)
  from jsonb_to_recordset(in_pools)
    as e(concurrency_pool text, max_workers int, starts_max int, interval interval, paused bool, retired bool)
  where not exists (select from async.concurrency_pool p where p.concurrency_pool = e.concurrency_pool);

  with retired as (
    update async.concurrency_pool p set retired = true
    where not p.retired
      and not exists (select from jsonb_array_elements(in_pools) e where e ->> 'concurrency_pool' = p.concurrency_pool)
    returning p.concurrency_pool
  )
  select string_agg(quote_ident(r.concurrency_pool), ', ' order by r.concurrency_pool) into v_retired from retired r;
  if v_retired is not null then
    raise notice 'the document leaves out these pools, which are retired now: %', v_retired
      using hint = 'async.set_pool changes one pool and leaves the others as they are.';
  end if;
end
$function$;

-- configure/apply_retry_policies
-- Purpose: makes the given list the retry policies: changes, adds and removes policies. Tasks keep
--   the copies that they have.
-- Returns: nothing.
-- Raises: nothing. The document was checked.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_retry_policies(in_policies jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  insert into async.retry_policy (retry_policy)
  select e.value ->> 'retry_policy' from jsonb_array_elements(in_policies) e
  on conflict (retry_policy) do nothing;

  update async.retry_policy p set
    max_attempts = n.max_attempts,
    delay = n.delay,
    backoff = n.backoff,
    delay_max = n.delay_max,
    jitter = n.jitter,
    sqlstates = n.sqlstates,
    timeouts = n.timeouts,
    unreachable = n.unreachable,
    unknown = n.unknown,
    may_run_twice = n.may_run_twice
  from async.retry_policy o
  join jsonb_array_elements(in_policies) e on e.value ->> 'retry_policy' = o.retry_policy
  cross join lateral jsonb_populate_record(o, jsonb_strip_nulls(e.value)) n
  where p.retry_policy = o.retry_policy and n.* is distinct from o.*;

  delete from async.retry_policy p
  where not exists (select from jsonb_array_elements(in_policies) e where e.value ->> 'retry_policy' = p.retry_policy);
end
$function$;

-- configure/check_default_retries
-- Purpose: checks the names of the default policies, after a document was applied. Refuses a name
--   that no policy has, and the removal of a policy that is a default.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_default_retries(in_control jsonb, in_targets jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_missing record;
begin
  select n.* into v_missing
  from (
    select 0 as place, c.default_retry as name, 'control.default_retry' as path,
      in_control ->> 'default_retry' is not null as is_given
    from async.control c
    union all
    select coalesce(e.place, 1000000000), t.default_retry,
      coalesce(format('targets[%s].default_retry', e.place - 1), format('the target %L', t.target)), e.place is not null
    from async.target t
    left join jsonb_array_elements(in_targets) with ordinality as e(value, place)
      on e.value ->> 'target' = t.target and e.value ->> 'default_retry' is not null
  ) n
  where n.name <> 'none'
    and not exists (select from async.retry_policy p where p.retry_policy = n.name)
  order by not n.is_given, n.place, n.path collate "C"
  limit 1;
  if not found then
    return;
  elsif v_missing.is_given then
    perform async.refuse_configuration(v_missing.path, format('there is no retry policy %L', v_missing.name));
  end if;
  perform async.refuse_configuration('retry_policies',
    format('lacks %L, which %s names', v_missing.name, v_missing.path));
end
$function$;

-- configure/apply_schedules
-- Purpose: makes the given list the schedules of the configuration: makes, replaces and removes
--   schedules. Those that async.schedule has made stay. A setting that is left out or null keeps its
--   value; for a new schedule it gets its default.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_schedules(in_caller name, in_scope async.scope_t, in_schedules jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_now constant timestamptz := clock_timestamp();
  v_ignored constant text[] := array(
    select k.out_key from async.configuration_keys() k where k.out_section = 'schedule' and k.out_kind = 'ignored');
  v_entry record;
  v_options jsonb;
begin
  -- First, since their number is limited.
  delete from async.schedule s
  where s.configured
    and not exists (select from jsonb_array_elements(in_schedules) e where e.value ->> 'schedule' = s.schedule);
  for v_entry in
    select format('schedules[%s]', e.place - 1) as path, e.value ->> 'schedule' as name,
      (select jsonb_object_agg(o.key, o.value) from jsonb_each(e.value) o where o.value <> 'null') - v_ignored as given
    from jsonb_array_elements(in_schedules) with ordinality as e(value, place)
    order by e.place
  loop
    v_options := coalesce((select to_jsonb(s) from async.schedule s where s.schedule = v_entry.name and s.configured), '{}')
      || v_entry.given;
    if v_options ->> 'when' is null then
      perform async.refuse_configuration(v_entry.path || '.when', 'is required');
    elsif v_options ->> 'target' is null then
      perform async.refuse_configuration(v_entry.path || '.target', 'is required');
    elsif v_options ->> 'catch_up' = 'all' and coalesce(v_options ->> 'overlap', 'skip') not in ('buffer_all', 'allow_all')
    then
      perform async.refuse_configuration(v_entry.path || '.catch_up', 'must not be all, unless overlap is buffer_all or allow_all');
    end if;
    begin
      perform async.set_schedule(v_entry.path, in_caller, in_scope, v_options - v_ignored, true, v_now);
    exception when others then
      if sqlstate = 'PA0A0' then
        perform async.refuse_configuration(v_entry.path || '.when', sqlerrm);
      elsif sqlstate not like 'PA%' then
        raise;
      end if;
      raise exception '%', sqlerrm
        using errcode = 'PA060', hint = 'Nothing was changed. Mend the document and configure again.';
    end;
    perform async.set_paused(v_entry.name, (v_entry.given ->> 'paused')::bool, v_now)
    where v_entry.given ? 'paused';
  end loop;
end
$function$;

-- configure/apply_configuration
-- Purpose: async.configure on a server. It checks first, then writes. A section that is missing or
--   null changes nothing. in_as_owner: true for the owner of the schema; only the owner may change
--   some settings. in_caller and in_scope: the role whose schedules these are, and its targets.
-- Returns: nothing. It wakes the leader.
-- Raises: PA060, PA084.
-- Locks: async.configuration_lock against other calls, and the rows that it changes, until the end of the
--   transaction.
create or replace function async.apply_configuration(
  in_caller name, in_scope async.scope_t, in_configuration jsonb, in_as_owner bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control jsonb := coalesce(nullif(in_configuration -> 'control', 'null'), '{}');
  v_targets jsonb := nullif(in_configuration -> 'targets', 'null');
  v_pools jsonb := nullif(in_configuration -> 'concurrency_pools', 'null');
  v_policies jsonb := nullif(in_configuration -> 'retry_policies', 'null');
  v_schedules jsonb := nullif(in_configuration -> 'schedules', 'null');
  v_self text;
  v_key text;
begin
  if jsonb_typeof(in_configuration) is distinct from 'object' then
    perform async.refuse_configuration('the configuration', 'must be an object');
  end if;
  select k.key into v_key
  from jsonb_object_keys(in_configuration) as k(key)
  where k.key not in ('control', 'targets', 'concurrency_pools', 'retry_policies', 'schedules')
  order by k.key collate "C"
  limit 1;
  if v_key is not null then
    perform async.refuse_configuration(v_key,
      'is no section; the sections are control, targets, concurrency_pools, retry_policies and schedules');
  end if;
  lock table async.configuration_lock in exclusive mode;

  perform async.check_section('control', 'control', v_control);
  -- Keys that the leader writes are accepted and ignored, so that a row of async.control can be
  -- given back.
  v_control := jsonb_strip_nulls(v_control)
    - array(select k.out_key from async.configuration_keys() k
            where k.out_section = 'control' and k.out_kind = 'ignored');
  select coalesce(v_control ->> 'self_target', c.self_target) into v_self from async.control c;
  if v_targets is not null then
    perform async.check_entries('targets', 'target', v_targets);
  end if;
  if v_pools is not null then
    perform async.check_entries('concurrency_pools', 'concurrency_pool', v_pools);
  end if;
  if v_policies is not null then
    perform async.check_entries('retry_policies', 'retry_policy', v_policies);
  end if;
  if v_schedules is not null then
    perform async.check_entries('schedules', 'schedule', v_schedules);
  end if;
  if v_targets is not null then
    v_control := async.check_targets(v_targets, v_control, v_self);
  end if;
  if not in_as_owner then
    perform async.refuse_owner_settings(v_control);
    perform async.refuse_owner_strings(coalesce(v_targets, '[]'), v_self);
  end if;

  perform async.apply_control(v_control);
  if v_targets is not null then
    perform async.apply_targets(v_targets);
  end if;
  if v_pools is not null then
    perform async.apply_pools(v_pools);
  end if;
  if v_policies is not null then
    perform async.apply_retry_policies(v_policies);
  end if;
  perform async.check_default_retries(v_control, v_targets);
  if v_schedules is not null then
    perform async.apply_schedules(in_caller, in_scope, v_schedules);
  end if;
  perform async.wake_leader();
end
$function$;

-- configure/change_part_as
-- Purpose: changes one entry of a list of the configuration, and leaves the others as they are, for the
--   role that read in_ticket from async.caller. It builds a document in which the others have no
--   settings, so every check of async.configure applies.
-- Returns: nothing. A running leader applies the change.
-- Raises: as async.configure, with the entry as the first of its list; insufficient_privilege for a
--   ticket that is not that of the caller.
-- Locks: as async.configure.
create or replace function async.change_part_as(
  in_caller name, in_ticket bytea, in_section text, in_name text, in_settings jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope constant async.scope_t := async.scope_of(in_caller, in_ticket, null);
  v_key constant text := case in_section when 'targets' then 'target' else 'concurrency_pool' end;
  v_entry jsonb;
  v_others jsonb;
begin
  if jsonb_typeof(in_settings) is distinct from 'object' then
    perform async.refuse_configuration(in_section || '[0]', 'must be an object');
  elsif in_settings ? v_key and in_settings ->> v_key is distinct from in_name then
    perform async.refuse_configuration(format('%s[0].%s', in_section, v_key), 'must be the name that the call gives, or be left out');
  end if;
  v_entry := in_settings || jsonb_build_object(v_key, in_name);
  -- Before the others are read: a call that waits here sees what the one before it wrote.
  lock table async.configuration_lock in exclusive mode;
  select coalesce(jsonb_agg(jsonb_build_object(v_key, o.name) order by o.name), '[]') into v_others
  from (
    select t.target as name from async.target t where in_section = 'targets' and not t.retired
    union all
    select p.concurrency_pool from async.concurrency_pool p where in_section = 'concurrency_pools' and not p.retired
  ) o
  where o.name is distinct from in_name;
  perform async.apply_configuration(in_caller, v_scope,
    jsonb_build_object(in_section, jsonb_build_array(v_entry) || v_others), async.is_owner(in_caller));
end
$function$;

-- configure/set_target
-- Purpose: adds a target, or changes the given settings of one, and revives it if it is retired. The
--   settings are the keys of an element of targets in async.configure. Other targets stay as they are.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060, PA084, as async.configure; the path begins with targets[0].
-- Locks: as async.configure.
create or replace function async.set_target(_target text, _settings jsonb default '{}') returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_part_as(c.caller, c.ticket, 'targets', _target, _settings) from async.caller c;
end
$function$;

-- configure/retire_target
-- Purpose: retires a target: it refuses new tasks, finishes those that it has, and keeps its history.
--   Other targets stay as they are.
-- Returns: nothing.
-- Raises: PA060 for a target that does not exist, and for the server itself.
-- Locks: as async.configure.
create or replace function async.retire_target(_target text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  if not exists (select from async.target t where t.target = _target) then
    perform async.refuse_configuration('targets', format('there is no target %L', _target));
  end if;
  perform async.change_part_as(c.caller, c.ticket, 'targets', _target, '{"retired": true}') from async.caller c;
end
$function$;

-- configure/set_pool
-- Purpose: adds a concurrency pool, or changes its size and the other given settings, and revives it if
--   it is retired. Other pools stay as they are.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060, as async.configure; the path begins with concurrency_pools[0].
-- Locks: as async.configure.
create or replace function async.set_pool(
  _concurrency_pool text, _max_workers int default null, _settings jsonb default '{}') returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_part_as(c.caller, c.ticket, 'concurrency_pools', _concurrency_pool,
    case when _max_workers is null then _settings else _settings || jsonb_build_object('max_workers', _max_workers) end)
  from async.caller c;
end
$function$;

-- configure/set_control
-- Purpose: changes the given settings of async.control. The others stay as they are.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060, PA084, as async.configure.
-- Locks: as async.configure.
create or replace function async.set_control(_settings jsonb) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.configure(jsonb_build_object('control', _settings));
end
$function$;

-- configure/settings_of
-- Purpose: the settings in a row of a table of the configuration: without the columns that the leader
--   writes.
-- Returns: an object. Raises: nothing. Locks: none.
create or replace function async.settings_of(in_section text, in_row jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(jsonb_object_agg(e.key, e.value), '{}')
  from jsonb_each(in_row) e
  join async.configuration_keys() k on k.out_section = in_section and k.out_key = e.key and k.out_kind <> 'ignored'
$function$;

-- configure/configuration
-- Purpose: the present configuration, as a document that async.configure takes. Passwords are masked, so
--   a connection string with a password has to be left out, or completed, before the document is given
--   back. Settings without a value are left out, and
--   paused where it is false: a document that does not name it leaves it as it is.
-- Returns: an object with the five sections. Schedules that async.schedule made are no part of it.
-- Raises: nothing. Locks: none.
create or replace function async.configuration() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $function$
  select jsonb_build_object(
    'control', (
      select jsonb_strip_nulls(async.settings_of('control', to_jsonb(c)
        || jsonb_build_object('self_connection_string', async.mask_connection_string(c.self_connection_string))))
      from async.control c),
    'targets', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('target', to_jsonb(t)
        || jsonb_build_object('connection_string', async.mask_connection_string(t.connection_string),
          'paused', nullif(t.paused, false))))
        order by t.target), '[]')
      from async.target t
      where t.target <> (select c.self_target from async.control c)),
    'concurrency_pools', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('concurrency_pool', to_jsonb(p)
        || jsonb_build_object('paused', nullif(p.paused, false))))
        order by p.concurrency_pool), '[]')
      from async.concurrency_pool p),
    'retry_policies', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('retry_policy', to_jsonb(r)))
        order by r.retry_policy), '[]')
      from async.retry_policy r),
    'schedules', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('schedule', to_jsonb(s)))
        order by s.schedule), '[]')
      from async.schedule s
      where s.configured))
$function$;

-- clients/wake_leader
-- Purpose: wakes a sleeping leader when this transaction commits. The caller has written what the
--   leader is to see, so the transaction has an id before it reads async.leader_sleep, which is not
--   transactional. If it reads that the leader polls, it either is open when the leader falls
--   asleep, and async.writers_are_open finds it, or the poll after that sees what it wrote.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: async.leader_sleep in access share mode, until the end of the transaction. It does not
--   wait: only the owner can lock a sequence.
create or replace function async.wake_leader() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if (select s.last_value = 1 from async.leader_sleep s) then
    perform pg_notify('async_wake', '');
  end if;
end
$function$;

-- clients/leader_exists
-- Purpose: whether an orchestrator of either engine leads in this database now.
-- Returns: bool.
-- Raises: nothing. Locks: none.
create or replace function async.leader_exists() returns bool
language sql security definer
set search_path = pg_catalog, pg_temp
as $function$
  select async.leader_pid() is not null
$function$;

-- clients/is_usable_duration
-- Purpose: whether a timestamp can hold the time that is this duration from now.
-- Returns: false for a negative duration and for a finite one above 10000 years; null for null.
-- Raises: nothing. Locks: none.
create or replace function async.is_usable_duration(in_duration interval) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_duration >= '0'::interval and (in_duration <= '10000 years'::interval or not isfinite(in_duration))
$function$;

-- clients/resolve_target
-- Purpose: the target that a name stands for. SELF, in upper or lower case, is the server itself,
--   unless a target has exactly this name.
-- Returns: the name of the target.
-- Raises: nothing. Locks: none.
create or replace function async.resolve_target(in_target text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when upper(in_target) <> 'SELF' or exists (select from async.target t where t.target = in_target) then in_target
    else (select c.self_target from async.control c)
  end
$function$;

-- clients/may_use_target
-- Purpose: whether a scope has a target of this server. A target that led to this database as a member
--   of the owner of the schema, with its present connection string, counts as the server itself besides
--   (async.note_session_at_self).
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_use_target(in_scope async.scope_t, in_target text) returns bool
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_target = (select c.self_target from async.control c) then
    return in_scope.reaches_self is true;
  end if;
  return coalesce(in_target = any (in_scope.targets) or '*' = any (in_scope.targets), false)
    and (in_scope.reaches_self is true or not exists (
      select
      from async.target_at_self a
      join async.target t on t.target = a.target and t.connection_string = a.connection_string
      where a.target = in_target));
end
$function$;

-- clients/check_target
-- Purpose: checks that a caller may use a target of this server (async.may_use_target).
-- Returns: nothing.
-- Raises: PA082. in_prefix begins the message.
-- Locks: none.
create or replace function async.check_target(
  in_prefix text, in_caller name, in_scope async.scope_t, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.may_use_target(in_scope, in_target) then
    return;
  elsif in_target = (select c.self_target from async.control c) then
    perform async.refuse_target(in_prefix, in_caller, in_target, ', the server itself');
  elsif (in_target = any (in_scope.targets) or '*' = any (in_scope.targets)) is not true then
    perform async.refuse_target(in_prefix, in_caller, in_target, '');
  else
    perform async.refuse_target(in_prefix, in_caller, in_target,
      ', which leads to the server itself as its owner, without a grant on SELF');
  end if;
end
$function$;

-- clients/check_pull
-- Purpose: checks whether a caller may pull from a target. async.take_offers refuses a target that
--   does not exist.
-- Returns: nothing.
-- Raises: PA082.
-- Locks: none.
create or replace function async.check_pull(in_caller name, in_scope async.scope_t, in_target text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.check_target('', in_caller, in_scope, t.target)
  from async.target t
  where t.target = async.resolve_target(in_target)
$function$;

-- clients/check_pools
-- Purpose: refuses a push after which tasks would wait in too many pools. A name that is not
--   configured is a pool of its own. The pools are counted one by one only if the leader has published
--   many, or if no leader exists.
-- Returns: nothing.
-- Raises: PA01A.
-- Locks: none.
create or replace function async.check_pools(in_tasks async.task_push_t[], in_names int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_counted_from constant int := async.pools_max() / 2;
  v_pools bigint;
begin
  if in_names < c_counted_from and (select c.pid is not null from async.control c)
    and in_names + (select count(*) from (select from async.concurrency_pool_tracker limit c_counted_from) k)
      < c_counted_from
  then
    return;
  end if;
  select count(*) into v_pools
  from (
    select l.pool from async.discover_lanes() l
    union
    select p.concurrency_pool from unnest(in_tasks) p where p.concurrency_pool is not null
  ) n;
  if v_pools > async.pools_max() then
    raise exception 'tasks would wait in % concurrency pools', v_pools
      using errcode = 'PA01A', hint = format('They may wait in %s at once. Push the others later, or to fewer pools.',
        async.pools_max());
  end if;
end
$function$;

-- clients/refuse_source
-- Purpose: refuses the source of a push, which is too long.
-- Returns: nothing.
-- Raises: PA01C.
-- Locks: none.
create or replace function async.refuse_source(in_source text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception 'the source of the push is too long (% bytes)', octet_length(in_source)
    using errcode = 'PA01C', hint = format('It may have %s bytes.', async.name_bytes_max());
end
$function$;

-- clients/hint_of_targets
-- Purpose: the hint of an error about an unknown target, for the role that called. Only administrators
--   may make and list targets.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.hint_of_targets(in_caller name) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when has_function_privilege(in_caller, 'async.configure(jsonb)', 'execute')
      then 'async.set_target adds targets; async.v_target lists them.'
    else 'An administrator adds targets.'
  end
$function$;

-- clients/prepare_push
-- Purpose: checks the pushed elements and computes their rows. In the leader session (triggers,
--   routines) an element without a target is skipped with a warning. in_retries names the retry policy
--   of each element; null: that of its target or of control.
-- Returns: one row for each element, with its position in the array.
-- Raises: PA010 for no target, PA011 for an unknown target, PA012 for a retired target, PA013 for a
--   retired pool, PA014 for no query, PA015 for a query at a target without a connection string,
--   PA016 for an invalid timeout; PA017 for a query, PA018 for task_data, PA019 for an array and PA01B
--   for a name that is too long, PA01A for too many pools, PA01I for an
--   unknown retry policy; PA082 for a target outside of the scope of
--   the caller.
-- Locks: none.
-- (Longer than a screen: its checks and the rows that it makes share what it looked up.)
create or replace function async.prepare_push(
  in_caller name,
  in_scope async.scope_t,
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_retries text[] default null)
returns table (
  out_position bigint,
  out_target text,
  out_priority int,
  out_entered timestamptz,
  out_processed timestamptz,
  out_finish_status async.finish_status_t,
  out_query text,
  out_failed bool,
  out_asynchronous_finish bool,
  out_task_data jsonb,
  out_concurrency_pool text,
  out_manual_timeout interval,
  out_track_yielded bool,
  out_pushed_by text,
  out_may_reach_self bool,
  out_retry jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_run_type async.task_run_type_t := coalesce(in_run_type, 'EXECUTE');
  v_runs bool := v_run_type in ('EXECUTE', 'EXECUTE_NOASYNC');
  v_now timestamptz := clock_timestamp();
  v_has_others bool := '*' = any (in_scope.targets);
  v_everywhere bool := in_scope.reaches_self and v_has_others;
  v_task async.task_push_t;
  v_target record;
  v_target_given text;
  v_pool_given text;
  v_pool_is_known bool;
  v_other_pools int := 0;
  v_retry jsonb;
  v_retry_name text;
  v_retry_given text;
begin
  -- A loop, because planning a join for every array costs more than the pushes. Neighboring
  -- elements mostly name the same target and pool, which are then looked up once.
  out_position := 0;
  out_entered := v_now;
  out_pushed_by := session_user || coalesce(' as ' || nullif(in_caller, session_user), '');
  out_may_reach_self := case when not in_scope.reaches_self then false end;
  if not v_runs then
    out_processed := v_now;
    out_failed := v_run_type = 'DOA';
    out_finish_status := case when out_failed then 'DOA' else 'FINISHED' end;
  end if;
  if in_tasks is null then
    return;
  elsif cardinality(in_tasks) > async.push_elements_max() then
    raise exception '% tasks are too many for one push', cardinality(in_tasks)
      using errcode = 'PA019', hint = format('Push up to %s at once.', async.push_elements_max());
  end if;
  foreach v_task in array in_tasks loop
    out_position := out_position + 1;

    if v_task.target is null then
      if not async.is_leader() then
        raise exception 'task % has no target', out_position
          using errcode = 'PA010', hint = 'Name a configured target, or SELF for the server itself.';
      end if;
      raise warning 'task % has no target and was not pushed', out_position using errcode = 'PA010';
      continue;
    elsif v_task.target is distinct from v_target_given then
      select t.*, c.self_target, a.target is not null as leads_to_self, coalesce(t.default_retry, c.default_retry) as retry
      into v_target
      from async.target t
      cross join async.control c
      left join async.target_at_self a on a.target = t.target
      where t.target = v_task.target;
      if not found and upper(v_task.target) = 'SELF' then
        select t.*, c.self_target, false as leads_to_self, coalesce(t.default_retry, c.default_retry) as retry into v_target
        from async.control c
        join async.target t on t.target = c.self_target;
      end if;
      if v_target.target is null and octet_length(v_task.target) > async.name_bytes_max() then
        raise exception 'task %: the name of its target is too long (% bytes)', out_position, octet_length(v_task.target)
          using errcode = 'PA01B', hint = format('It may have %s bytes.', async.name_bytes_max());
      elsif v_target.target is null then
        raise exception 'task %: there is no target %', out_position, quote_literal(v_task.target)
          using errcode = 'PA011', hint = async.hint_of_targets(in_caller);
      elsif v_target.retired then
        raise exception 'task %: the target % is retired', out_position, quote_literal(v_task.target)
          using errcode = 'PA012', hint = 'The last configuration left it out. An administrator configures it again; or name another.';
      end if;
      -- Most targets are granted plainly. The function is slow, and says what is wrong.
      if (v_everywhere
        or v_target.target <> v_target.self_target and not v_target.leads_to_self
          and (v_has_others or v_target.target = any (in_scope.targets))) is not true
      then
        perform async.check_target(format('task %s: ', out_position), in_caller, in_scope, v_target.target);
      end if;
      v_target_given := v_task.target;
    end if;

    if v_task.concurrency_pool is distinct from v_pool_given then
      -- The name of a target is also a pool.
      v_pool_is_known := v_task.concurrency_pool is null
        or exists (select from async.target t where t.target = v_task.concurrency_pool and not t.retired);
      if not v_pool_is_known then
        select not p.retired into v_pool_is_known
        from async.concurrency_pool p where p.concurrency_pool = v_task.concurrency_pool;
        v_other_pools := v_other_pools + (v_pool_is_known is null)::int;
      end if;
      if v_pool_is_known is null and octet_length(v_task.concurrency_pool) > async.name_bytes_max() then
        raise exception 'task %: the name of its concurrency pool is too long (% bytes)', out_position,
            octet_length(v_task.concurrency_pool)
          using errcode = 'PA01B', hint = format('It may have %s bytes.', async.name_bytes_max());
      elsif not v_pool_is_known then
        raise exception 'task %: the concurrency pool % is retired', out_position, quote_literal(v_task.concurrency_pool)
          using errcode = 'PA013', hint = 'The last configuration left it out. An administrator configures it again; or name another.';
      end if;
      v_pool_given := v_task.concurrency_pool;
    end if;

    v_retry_name := case when v_runs then coalesce(in_retries[out_position], v_target.retry) end;
    if v_retry_name is distinct from v_retry_given then
      v_retry := async.copy_retry_policy(v_retry_name);
      if v_retry is null and v_retry_name <> 'none' then
        raise exception 'task %: there is no retry policy %', out_position, quote_literal(v_retry_name)
          using errcode = 'PA01I', hint = 'An administrator makes retry policies with async.configure. The name none stands for no policy.';
      end if;
      v_retry_given := v_retry_name;
    end if;

    if v_runs and v_task.query is null and not v_target.asynchronous_finish then
      raise exception 'task %: it has no query, and clients do not pull the tasks of %', out_position,
          quote_literal(v_task.target)
        using errcode = 'PA014', hint = 'Give it a query, or configure the target with asynchronous_finish.';
    elsif v_runs and v_task.query is not null and v_target.connection_string is null then
      raise exception 'task %: the target % has no connection string, so clients must pull its tasks', out_position,
          quote_literal(v_task.target)
        using errcode = 'PA015', hint = 'Push it without a query, or configure a connection string.';
    elsif v_task.manual_timeout is not null and not async.is_usable_duration(v_task.manual_timeout) then
      raise exception 'task %: its timeout is negative, or reaches beyond the end of time', out_position
        using errcode = 'PA016', hint = 'Leave it out for the target''s own timeout.';
    elsif octet_length(v_task.query) > async.query_bytes_max() then
      raise exception 'task %: its query is too long (% bytes)', out_position, octet_length(v_task.query)
        using errcode = 'PA017', hint = format('It may have %s bytes. Put the data into a table and query it there.',
          async.query_bytes_max());
    elsif pg_column_size(v_task.task_data) > async.task_data_bytes_max() then
      raise exception 'task %: its task_data is too large (% bytes)', out_position, pg_column_size(v_task.task_data)
        using errcode = 'PA018', hint = format('It may have %s bytes.', async.task_data_bytes_max());
    end if;

    out_target := v_target.target;
    out_priority := coalesce(v_task.priority, 0);
    out_query := v_task.query;
    out_asynchronous_finish := v_target.asynchronous_finish and v_run_type not in ('EXECUTE_NOASYNC', 'EMPTY');
    out_task_data := v_task.task_data;
    out_concurrency_pool := coalesce(v_task.concurrency_pool, v_target.target);
    out_manual_timeout := v_task.manual_timeout;
    out_track_yielded := coalesce(v_task.track_yielded, v_target.concurrency_track_yielded);
    out_retry := v_retry;
    if v_retry is not null and async.may_commit(v_task.query) then
      out_retry := v_retry || '{"commits": true}';
    end if;
    return next;
  end loop;
  if v_other_pools > 0 and v_runs then
    perform async.check_pools(in_tasks, v_other_pools);
  end if;
end
$function$;

-- clients/push/push_options
-- Purpose: the options of async.push_many, with query and target, and the JSON types of their values.
--   A null is a value of each.
-- Returns: one row for each.
-- Raises: nothing.
-- Locks: none.
create or replace function async.push_options() returns table (name text, json_type text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  values
    ('query', 'string'),
    ('target', 'string'),
    ('priority', 'number'),
    ('concurrency_pool', 'string'),
    ('timeout', 'string'),
    ('task_data', 'any'),
    ('track_yielded', 'boolean'),
    ('source', 'string'),
    ('run_at', 'string'),
    ('expires_at', 'string'),
    ('unique_key', 'string'),
    ('unique_while', 'string'),
    ('on_conflict', 'string'),
    ('retry', 'string'),
    ('keep_result', 'boolean'),
    ('receipt', 'boolean')
$function$;

-- clients/push/refuse_push
-- Purpose: raises the error of the first element of a document for async.push_many that cannot be
--   read, with its path: the position of the element, counted from 1, and the option.
-- Returns: nothing, if every element can be read.
-- Raises: PA010 for no target; PA01D for what is no object, an unknown option or an invalid value.
-- Locks: none.
create or replace function async.refuse_push(in_tasks jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_element record;
  v_option record;
  v_type text;
  v_known text;
begin
  select string_agg(o.name, ', ') into v_known from async.push_options() o;
  for v_element in
    select e.it, e.place from jsonb_array_elements(in_tasks) with ordinality as e(it, place) order by e.place
  loop
    if jsonb_typeof(v_element.it) <> 'object' then
      raise exception 'task % must be an object, not %', v_element.place,
          async.describe_json_type(jsonb_typeof(v_element.it))
        using errcode = 'PA01D', hint = 'async.push_many takes [{"query": ..., "target": ...}, ...].';
    end if;
    for v_option in
      select g.key as name, g.value, o.json_type
      from jsonb_each(v_element.it) g
      left join async.push_options() o on o.name = g.key
      order by g.key collate "C"
    loop
      v_type := jsonb_typeof(v_option.value);
      if v_option.json_type is null then
        raise exception 'task %.%: is no option', v_element.place, left(v_option.name, 100)
          using errcode = 'PA01D', hint = 'The options are: ' || v_known || '.';
      elsif v_type not in (v_option.json_type, 'null') and v_option.json_type <> 'any' then
        raise exception 'task %.%: must be %, not %', v_element.place, v_option.name,
            async.describe_json_type(v_option.json_type), async.describe_json_type(v_type)
          using errcode = 'PA01D', hint = 'Nothing was pushed. Mend the element and push again.';
      end if;
      begin
        perform from jsonb_to_record(jsonb_build_object(v_option.name, v_option.value))
          as r(priority int, timeout interval, run_at timestamptz, expires_at timestamptz);
        -- The columns are read.
        perform coalesce(r.priority::text, r.timeout::text, r.run_at::text, r.expires_at::text)
        from jsonb_to_record(jsonb_build_object(v_option.name, v_option.value))
          as r(priority int, timeout interval, run_at timestamptz, expires_at timestamptz);
      exception when data_exception then
        raise exception 'task %.%: %', v_element.place, v_option.name, sqlerrm
          using errcode = 'PA01D', hint = 'Nothing was pushed. Mend the element and push again.';
      end;
    end loop;
    if v_element.it ->> 'target' is null then
      raise exception 'task % has no target', v_element.place
        using errcode = 'PA010', hint = 'Name a configured target, or SELF for the server itself.';
    end if;
  end loop;
end
$function$;

-- clients/push/check_receipt_target
-- Purpose: checks that the target of a pushed task with a receipt has receipts.
-- Returns: true.
-- Raises: PA01M.
-- Locks: none.
create or replace function async.check_receipt_target(in_path text, in_target text) returns bool
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if (select t.receipts from async.target t where t.target = in_target) is not true then
    raise exception '%receipt: the target % has no receipts', in_path, quote_literal(in_target)
      using errcode = 'PA01M', hint = 'An administrator runs the SQL of async.target_setup(target) there, and configures '
        'the target with "receipts": true.';
  end if;
  return true;
end
$function$;

-- clients/push/refuse_options
-- Purpose: raises the error of the first options of a push that cannot be.
-- Returns: nothing, if all can be.
-- Raises: PA01C for a source that is too long, PA01E for times, PA01F for a unique key, PA01K for a
--   query whose rows cannot be kept, and PA01L for one that can have no receipt.
-- Locks: none.
create or replace function async.refuse_options(
  in_tasks async.task_push_t[], in_options async.push_options_t[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  o record;
  v_why text;
begin
  for o in
    select p.*, p.ordinality as place
    from rows from (unnest(in_tasks), unnest(in_options)) with ordinality p
    order by p.ordinality
  loop
    if octet_length(o.source) > async.name_bytes_max() then
      raise exception 'task %.source: is too long (% bytes)', o.place, octet_length(o.source)
        using errcode = 'PA01C', hint = format('It may have %s bytes.', async.name_bytes_max());
    elsif not isfinite(o.run_at) or not isfinite(o.expires_at) then
      raise exception 'task %.%: must be finite, and is %', o.place,
          case when isfinite(o.run_at) is false then 'run_at' else 'expires_at' end,
          case when isfinite(o.run_at) is false then o.run_at else o.expires_at end
        using errcode = 'PA01E', hint = 'Leave it out for a task without it.';
    elsif o.expires_at <= o.run_at then
      raise exception 'task %.expires_at: % is not after run_at, %', o.place, o.expires_at, o.run_at
        using errcode = 'PA01E', hint = 'The task could never run. Let it expire after run_at.';
    elsif o.unique_key is null and (o.unique_while is not null or o.on_conflict is not null) then
      raise exception 'task %.%: is given without unique_key', o.place,
          case when o.unique_while is not null then 'unique_while' else 'on_conflict' end
        using errcode = 'PA01F', hint = 'Give a unique_key as well, or leave it out.';
    elsif octet_length(o.unique_key) > async.unique_key_bytes_max() then
      raise exception 'task %.unique_key: is too long (% bytes)', o.place, octet_length(o.unique_key)
        using errcode = 'PA01F', hint = format('It may have %s bytes; take a hash.', async.unique_key_bytes_max());
    elsif o.unique_while not in ('unfinished', 'waiting') then
      raise exception 'task %.unique_while: must be unfinished or waiting, not %', o.place,
          quote_literal(left(o.unique_while, 100))
        using errcode = 'PA01F', hint = 'unfinished: until the task ends. waiting: until its first start.';
    elsif o.on_conflict not in ('skip', 'error', 'replace') then
      raise exception 'task %.on_conflict: must be skip, error or replace, not %', o.place,
          quote_literal(left(o.on_conflict, 100))
        using errcode = 'PA01F', hint = 'It says what happens if another task has the unique key.';
    end if;
    if o.receipt then
      v_why := async.refuse_receipt(o.query);
      if v_why is not null then
        raise exception 'task %.receipt: its query %, so it can have no receipt', o.place, v_why
          using errcode = 'PA01L', hint = 'A receipt needs a query that is one transaction: without transaction control, and '
            'without statements that cannot run in a transaction block.';
      end if;
    end if;
    if o.keep_result then
      v_why := case when o.query is null then 'is missing' else (async.classify_kept(o.query)).refused end;
      if v_why is not null then
        raise exception 'task %.keep_result: its query %, so its rows cannot be kept', o.place, v_why
          using errcode = 'PA01K', hint = 'Rows are kept of one statement that can run in a transaction block. '
            'Push the others without keep_result.';
      end if;
    end if;
  end loop;
end
$function$;

-- clients/push/read_push
-- Purpose: reads the document of async.push_many.
-- Returns: for each element, in order, what async.push_tasks knows of it, and its options.
-- Raises: as async.refuse_push.
-- Locks: none.
create or replace function async.read_push(
  in_tasks jsonb, out out_tasks async.task_push_t[], out out_options async.push_options_t[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_names constant text[] := array(select o.name from async.push_options() o);
begin
  if jsonb_typeof(in_tasks) is distinct from 'array' then
    raise exception 'the tasks must be an array, not %',
        coalesce(async.describe_json_type(jsonb_typeof(in_tasks)), 'null')
      using errcode = 'PA01D', hint = 'async.push_many takes [{"query": ..., "target": ...}, ...].';
  elsif jsonb_array_length(in_tasks) > async.push_elements_max() then
    raise exception '% tasks are too many for one push', jsonb_array_length(in_tasks)
      using errcode = 'PA019', hint = format('Push up to %s at once.', async.push_elements_max());
  end if;
  -- jsonb_to_recordset ignores other keys, and takes texts of any JSON value.
  if exists (
    select from jsonb_array_elements(in_tasks) e(it)
    where case when jsonb_typeof(e.it) <> 'object' then true
      else (e.it - c_names) <> '{}'
        or jsonb_typeof(e.it -> 'query') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'target') is distinct from 'string'
        or jsonb_typeof(e.it -> 'priority') not in ('number', 'null')
        or jsonb_typeof(e.it -> 'concurrency_pool') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'timeout') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'track_yielded') not in ('boolean', 'null')
        or jsonb_typeof(e.it -> 'source') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'run_at') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'expires_at') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'unique_key') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'unique_while') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'on_conflict') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'retry') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'keep_result') not in ('boolean', 'null')
        or jsonb_typeof(e.it -> 'receipt') not in ('boolean', 'null')
      end)
  then
    perform async.refuse_push(in_tasks);
  end if;
  begin
    select
      coalesce(array_agg(row(e.task_data, e.target, e.priority, e.query, e.concurrency_pool,
        e.timeout, e.track_yielded)::async.task_push_t order by e.place), '{}'),
      coalesce(array_agg(row(e.source, e.run_at, e.expires_at, e.unique_key,
        coalesce(e.unique_while, case when e.unique_key is not null then 'unfinished' end),
        coalesce(e.on_conflict, case when e.unique_key is not null then 'skip' end), e.retry,
        e.keep_result, e.receipt)::async.push_options_t
        order by e.place), '{}')
    into out_tasks, out_options
    from rows from (jsonb_to_recordset(in_tasks) as (query text, target text, priority int, concurrency_pool text,
      timeout interval, task_data jsonb, track_yielded bool, source text, run_at timestamptz, expires_at timestamptz,
      unique_key text, unique_while text, on_conflict text, retry text, keep_result bool, receipt bool)) with
      ordinality
      as e(query, target, priority, concurrency_pool, timeout, task_data, track_yielded, source, run_at, expires_at,
        unique_key, unique_while, on_conflict, retry, keep_result, receipt, place);
  exception when data_exception then
    perform async.refuse_push(in_tasks);
    raise;
  end;
  if exists (
    select from unnest(out_options) o
    where not isfinite(o.run_at) or not isfinite(o.expires_at) or o.expires_at <= o.run_at
      or octet_length(o.source) > async.name_bytes_max()
      or octet_length(o.unique_key) > async.unique_key_bytes_max()
      or o.unique_while not in ('unfinished', 'waiting') or o.on_conflict not in ('skip', 'error', 'replace')
      or o.unique_key is null and (o.unique_while is not null or o.on_conflict is not null)
      or o.keep_result or o.receipt)
  then
    perform async.refuse_options(out_tasks, out_options);
  end if;
end
$function$;

-- clients/push/insert_pushed
-- Purpose: inserts pushed tasks with these ids, without those whose unique key another task has. Tasks
--   with unique keys come first, in the order of their keys, so that two pushes never wait for each
--   other.
-- Returns: the number of inserted tasks.
-- Raises: PA011 to PA01B, PA082 (see async.prepare_push), PA01M.
-- Locks: the new keys; waits for transactions that push the same ones. (The search path is
--   control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path. Every name
--   and operator is qualified.)
create or replace function async.insert_pushed(
  in_caller name,
  in_scope async.scope_t,
  in_ids bigint[],
  in_tasks async.task_push_t[],
  in_options async.push_options_t[]) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_rows int;
begin
  insert into async.task (task_id, target, priority, entered, source, query, asynchronous_finish, task_data,
      concurrency_pool, manual_timeout, track_yielded, pushed_by, may_reach_self, run_at, eligible_when, expires_at,
      times_up, unique_key, unique_while, retry, attempt, keep_result_for, receipt)
  select p.unnest, p.out_target, p.out_priority, p.out_entered, p.source, p.out_query, p.out_asynchronous_finish,
    p.out_task_data, p.out_concurrency_pool, p.out_manual_timeout, p.out_track_yielded, p.out_pushed_by,
    p.out_may_reach_self, p.run_at,
    case when p.run_at operator(pg_catalog.>) p.out_entered then p.run_at end,
    p.expires_at, p.expires_at, p.unique_key, p.unique_while,
    case when p.receipt then async.receipt_policy(p.out_retry) else p.out_retry end,
    case when p.out_retry is not null or p.receipt then 0 end,
    case when p.keep_result then in_caller::pg_catalog.text end,
    case when p.receipt then
      async.check_receipt_target(pg_catalog.format('task %s.', p.out_position), p.out_target) end
  from rows from (
      pg_catalog.unnest(in_ids),
      async.prepare_push(in_caller, in_scope, in_tasks, 'EXECUTE',
        array(select o.retry from pg_catalog.unnest(in_options) with ordinality as o order by o.ordinality)),
      pg_catalog.unnest(in_options)) as p
  order by case when p.unique_key is not null then p.out_target end collate pg_catalog."C",
    p.unique_key collate pg_catalog."C", p.out_position
  on conflict (target, unique_key)
    where unique_key is not null and processed is null
      and (unique_while operator(pg_catalog.=) 'unfinished' or run operator(pg_catalog.=) 0)
    do nothing;
  get diagnostics v_rows := row_count;
  return v_rows;
end
$function$;

-- clients/push/key_holders
-- Purpose: the pushed tasks that were not inserted, and the tasks that have their unique keys now.
-- Returns: the position of each in the arrays, and the other task: null if none has the key (any more,
--   or because a trigger kept the row out). waits: the other task waits for its first start, and is not
--   offered to clients.
--   A name that is no target is in_self.
-- Raises: nothing.
-- Locks: none.
create or replace function async.key_holders(
  in_ids bigint[], in_tasks async.task_push_t[], in_options async.push_options_t[], in_self text)
returns table (place int, holder bigint, waits bool)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  return query
    select p.place, h.task_id, h.waits
    from (
      select i.ordinality::int as place, i.unique_key,
        coalesce((select g.target from async.target g where g.target = i.target), in_self) as target
      -- Not by subscripts, which take longer the longer the arrays are.
      from rows from (unnest(in_ids), unnest(in_tasks), unnest(in_options)) with ordinality as i(task_id)
      where not exists (select from async.task t where t.task_id = i.task_id)
      offset 0
    ) p
    left join lateral (
      select t.task_id,
        t.consumed is null and t.yielded is null and t.run = 0 and t.tracked is not true as waits
      from async.task t
      where t.target = p.target and t.unique_key = p.unique_key and t.processed is null
        and (t.unique_while = 'unfinished' or t.run = 0)
    ) h on true;
end
$function$;

-- clients/push/cancel_replaced
-- Purpose: cancels tasks that wait for their first start, since tasks with their unique keys replace
--   them. A task that was claimed or offered meanwhile stays.
-- Returns: nothing.
-- Raises: the errors of user triggers.
-- Locks: the rows of the tasks, in the order of their keys, until the end of the transaction; waits for
--   them.
create or replace function async.cancel_replaced(in_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The writer takes the longer for a task, the more it gets at once.
  c_at_once constant int := 1000;
  v_ids bigint[];
  v_first int := 1;
  -- A schedule is fired by the leader.
  v_role constant text := case when not async.is_leader() then session_user end;
begin
  v_ids := array(
    select t.task_id from async.task t
    where t.task_id = any (in_ids) and t.consumed is null and t.yielded is null and t.processed is null
      and t.run = 0 and t.tracked is not true
    order by t.target collate "C", t.unique_key collate "C"
    for no key update);
  while v_first <= cardinality(v_ids) loop
    perform from async.write_now(array(
      select row(i, null, 'REQUEST', clock_timestamp(), 'CANCELED', 'replaced by a task with the same unique key',
        null, null, null, null, null, v_role)::async.event_t
      from unnest(v_ids[v_first : v_first + c_at_once - 1]) i));
    v_first := v_first + c_at_once;
  end loop;
end
$function$;

-- clients/push/push_unique
-- Purpose: pushes tasks of which some have unique keys. A key may become free, or taken again, between
--   two statements, so what was neither inserted nor answered is tried again. A task that is replaced
--   by another push meanwhile is replaced there, so each round has seen a commit of another push, a
--   start or an end.
-- Returns: as async.push_many.
-- Raises: PA01G, PA01H, and as async.insert_pushed and async.cancel_replaced.
-- Locks: as async.insert_pushed and async.cancel_replaced.
create or replace function async.push_unique(
  in_caller name,
  in_scope async.scope_t,
  in_ids bigint[],
  in_tasks async.task_push_t[],
  in_options async.push_options_t[]) returns table (task_id bigint, duplicate bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_self constant text := (select c.self_target from async.control c);
  -- Rounds in which no other task had a key that was left. More of them are no coincidence.
  c_futile_rounds_max constant int := 20;
  v_futile_rounds int := 0;
  v_answers bigint[] := in_ids;
  -- The tasks that are to be inserted again, the position of the first, and the tasks that they replace.
  v_ids bigint[];
  v_tasks async.task_push_t[];
  v_options async.push_options_t[];
  v_first int;
  v_replaced bigint[];
  v_before bigint[] := '{}';
  v_conflict record;
  v_option async.push_options_t;
  v_again bool;
begin
  perform async.insert_pushed(in_caller, in_scope, in_ids, in_tasks, in_options);
  while v_futile_rounds < c_futile_rounds_max loop
    v_ids := '{}';
    v_tasks := '{}';
    v_options := '{}';
    v_replaced := '{}';
    for v_conflict in
      select k.place, k.holder, k.waits from async.key_holders(in_ids, in_tasks, in_options, v_self) k
      where v_answers[k.place] = in_ids[k.place]
      order by k.place
    loop
      v_option := in_options[v_conflict.place];
      v_again := false;
      if v_option.unique_key is null then
        -- A trigger kept the row out.
        v_answers[v_conflict.place] := null;
      elsif v_conflict.holder is null then
        v_again := true;
      elsif v_option.on_conflict = 'error' then
        raise exception 'task %: task % at % has the unique key %', v_conflict.place, v_conflict.holder,
            quote_literal(in_tasks[v_conflict.place].target), quote_literal(v_option.unique_key)
          using errcode = 'PA01G', hint = 'Nothing was pushed. on_conflict can be skip or replace instead.';
      elsif v_option.on_conflict = 'replace' and v_conflict.waits
        -- Not a task of this push. The ids are in order.
        and in_ids[width_bucket(v_conflict.holder, in_ids)] is distinct from v_conflict.holder
        -- It could not be canceled.
        and v_conflict.holder <> all (v_before)
      then
        v_again := true;
        v_replaced := v_replaced || v_conflict.holder;
      else
        v_answers[v_conflict.place] := v_conflict.holder;
      end if;
      if v_again then
        v_first := case when v_ids = '{}' then v_conflict.place else v_first end;
        v_ids := v_ids || in_ids[v_conflict.place];
        v_tasks := v_tasks || in_tasks[v_conflict.place];
        v_options := v_options || v_option;
      end if;
    end loop;
    if v_ids = '{}' then
      return query
        select a.id, a.id <> in_ids[a.place]
        from unnest(v_answers) with ordinality as a(id, place)
        order by a.place;
      return;
    end if;
    v_futile_rounds := case when v_replaced = '{}' then v_futile_rounds + 1 else 0 end;
    perform async.cancel_replaced(v_replaced);
    v_before := v_before || v_replaced;
    perform async.insert_pushed(in_caller, in_scope, v_ids, v_tasks, v_options);
  end loop;
  raise exception 'task %: could not be inserted, although no other task has its unique key %', v_first,
      quote_literal(v_options[1].unique_key)
    using errcode = 'PA01H', hint = 'Other tasks take and free the key all the time, or a trigger keeps the row out.';
end
$function$;

-- clients/push/push_many_now
-- Purpose: async.push_many on a server.
-- Returns: as async.push_many.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push_many_now(in_caller name, in_scope async.scope_t, in_tasks jsonb)
returns table (task_id bigint, duplicate bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_push record;
  v_ids bigint[];
  v_inserted int;
  v_lock_timeout constant text := current_setting('lock_timeout');
begin
  v_push := async.read_push(in_tasks);
  v_ids := array(
    select nextval('async.task_task_id_seq') from generate_series(1, cardinality(v_push.out_tasks)));
  if not exists (select from unnest(v_push.out_options) o where o.unique_key is not null) then
    v_inserted := async.insert_pushed(in_caller, in_scope, v_ids, v_push.out_tasks, v_push.out_options);
    return query
      -- A trigger may have kept rows out.
      select case when v_inserted = cardinality(v_ids) or exists (select from async.task t where t.task_id = i.id)
        then i.id end, false
      from unnest(v_ids) with ordinality as i(id, place)
      order by i.place;
  else
    begin
      if v_lock_timeout = '0' then
        perform set_config('lock_timeout', async.unique_key_wait_max(), true);
      end if;
      return query
        select u.task_id, u.duplicate
        from async.push_unique(in_caller, in_scope, v_ids, v_push.out_tasks, v_push.out_options) u;
      perform set_config('lock_timeout', v_lock_timeout, true);
    exception when lock_not_available then
      raise exception 'another transaction holds one of the unique keys: %', sqlerrm
        using errcode = 'PA01H', hint = 'Nothing was pushed. Push again, and keep transactions that push short.';
    end;
  end if;
  perform async.wake_leader();
end
$function$;

-- clients/request_finish
-- Purpose: writes the requests of a client for unfinished tasks. The leader applies them after the
--   commit of the caller. A message is cut at 64 KiB.
-- Returns: a warning with the ids that do not exist or are finished, or null.
-- Raises: PA020 for a null status, PA021 for DEFERRED without a duration, PA022 for a negative
--   duration or one above 10000 years.
-- Locks: none that others wait for.
create or replace function async.request_finish(
  in_task_ids bigint[],
  in_status async.finish_status_t,
  in_error_message text,
  in_duration interval) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_named_ids_max constant int := 100;
  v_message constant text := async.cut_text(in_error_message);
  v_refused text[];
begin
  if in_task_ids is null then
    return null;
  elsif in_status is null then
    raise exception 'a status is needed to finish a task'
      using errcode = 'PA020', hint = 'FINISHED and FAILED are the common ones.';
  elsif in_status = 'DEFERRED' and in_duration is null then
    raise exception 'a duration is needed to defer a task'
      using errcode = 'PA021', hint = 'async.defer(array[task_id], ''10 minutes'')';
  elsif not async.is_usable_duration(in_duration) then
    raise exception 'a task cannot be put off by %', in_duration
      using errcode = 'PA022', hint = 'The duration must be 0 or more, and at most 10000 years.';
  end if;

  insert into async.request (task_id, status, error_message, duration)
  select t.task_id, in_status, v_message, in_duration
  from async.task t
  where t.task_id = any (in_task_ids) and t.processed is null
  order by t.task_id;
  perform async.wake_leader();

  select array_agg(
    coalesce(i.task_id::text, 'null') || case when t.task_id is null then ' (unknown)' else ' (finished)' end
    order by i.task_id)
  into v_refused
  from (select distinct u.task_id from unnest(in_task_ids) as u(task_id)) i
  left join async.task t on t.task_id = i.task_id
  where t.task_id is null or t.processed is not null;
  return (select format('not %s, since there is nothing to end: %s%s', lower(in_status::text),
    array_to_string(v_refused[1:c_named_ids_max], ', '),
    ' and ' || nullif(greatest(cardinality(v_refused) - c_named_ids_max, 0), 0) || ' more')
  where v_refused is not null);
end
$function$;

-- clients/prepare_restart
-- Purpose: locks finished tasks that are to be restarted, and deletes their requests.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired, PA035
--   while another task has its unique key, PA082 for a task at a target outside of the scope of the
--   caller: with the first such task.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.prepare_restart(in_caller name, in_scope async.scope_t, in_task_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_task record;
begin
  -- In one order, so that two restarts do not wait for each other.
  perform from async.task t where t.task_id = any (in_task_ids) order by t.task_id for no key update;
  select i.id, t.task_id, t.processed, t.tracked, t.target, t.query, t.asynchronous_finish, t.expires_at,
    h.task_id as holder
  into v_task
  from unnest(in_task_ids) with ordinality as i(id, place)
  left join async.task t on t.task_id = i.id
  left join async.task h on h.target = t.target and h.unique_key = t.unique_key and h.processed is null
    and (h.unique_while = 'unfinished' or h.run = 0) and (t.unique_while = 'unfinished' or t.run = 0)
  where t.task_id is null or t.processed is null or t.tracked or h.task_id is not null
    or t.query is null and not coalesce(t.asynchronous_finish, false) or t.expires_at <= clock_timestamp()
  order by i.place
  limit 1;
  if not found then
    null;
  elsif v_task.task_id is null then
    raise exception 'there is no task %', coalesce(v_task.id::text, 'null')
      using errcode = 'PA030', hint = 'Tasks are deleted task_keep_duration after they finished.';
  elsif v_task.processed is null then
    raise exception 'task % has not finished', v_task.id
      using errcode = 'PA031', hint = 'Cancel it first, or wait for its end.';
  elsif v_task.tracked then
    raise exception 'task % has finished, but its session at % is not known to be gone yet', v_task.id,
        quote_literal(v_task.target)
      using errcode = 'PA032', hint = 'It could run twice at a time. Try again when the target can be reached.';
  elsif v_task.query is null and not coalesce(v_task.asynchronous_finish, false) then
    raise exception 'task % has no query to run', v_task.id
      using errcode = 'PA033', hint = 'It was pushed as EMPTY or DOA. Push another task instead.';
  elsif v_task.expires_at <= clock_timestamp() then
    raise exception 'task % has expired at %', v_task.id, v_task.expires_at
      using errcode = 'PA034', hint = 'Its expires_at counts for all of its runs. Push another task instead.';
  else
    raise exception 'task % cannot be restarted: task % has its unique key', v_task.id, v_task.holder
      using errcode = 'PA035', hint = 'Wait for the end of that task, or cancel it.';
  end if;
  perform async.check_target(format('task %s: ', u.id), in_caller, in_scope, u.target)
  from (
    select t.target, min(t.task_id) as id from async.task t where t.task_id = any (in_task_ids) group by t.target
  ) u
  order by u.id;
  delete from async.request r where r.task_id = any (in_task_ids);
end
$function$;

-- clients/restart_now
-- Purpose: async.restart on a server.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired, PA035
--   while another task has its unique key, PA082 for a task at a target outside of the scope of the
--   caller; the errors of user triggers.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.restart_now(in_caller name, in_scope async.scope_t, in_task_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The writer takes the longer for a task, the more it gets at once.
  c_at_once constant int := 1000;
  v_ids bigint[];
  v_first int := 1;
  v_constraint text;
begin
  perform async.prepare_restart(in_caller, in_scope, in_task_ids);
  v_ids := array(select distinct i.id from unnest(in_task_ids) as i(id) order by i.id);
  begin
    while v_first <= cardinality(v_ids) loop
      perform from async.write_now(array(
        select row(i, null, 'RESTART', clock_timestamp(), null, null, null, null, null, null, null, null)::async.event_t
        from unnest(v_ids[v_first : v_first + c_at_once - 1]) i));
      v_first := v_first + c_at_once;
    end loop;
  exception when unique_violation then
    get stacked diagnostics v_constraint = constraint_name;
    if v_constraint <> 'task_unique_key' then
      raise;
    end if;
    raise exception '% cannot be restarted: another task has its unique key',
        case when cardinality(v_ids) = 1 then format('task %s', v_ids[1]) else 'one of the tasks' end
      using errcode = 'PA035', detail = sqlerrm, hint = 'Wait for the end of that task, or cancel it.';
  end;
  delete from async.result r where r.task_id = any (v_ids);
  perform async.restrict_restarted(v_ids, in_scope.reaches_self);
  perform async.wake_leader();
end
$function$;

-- clients/take_offers
-- Purpose: locks offers of tasks that clients pull, except in_skip, and waits for the first until
--   in_until. The caller takes the tasks in the same transaction. Above READ COMMITTED it does not
--   wait, because later offers are not visible.
-- Returns: an event TAKE for each locked task that is still offered, in order; null when there is
--   none.
-- Raises: PA040 for a target that clients cannot pull from, PA041 for a limit below 1.
-- Locks: offers and tasks, until the end of the transaction. It skips those that other transactions
--   hold.
-- (Longer than a screen: one loop that waits and takes.)
create or replace function async.take_offers(
  in_target text, in_limit int, in_until timestamptz, in_skip bigint[]
)
returns async.event_t[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause_seconds_max constant float8 := 0.25;
  v_pause_seconds float8 := 0.01;
  v_limit int := coalesce(in_limit, 1);
  v_target async.target;
  v_offers bigint[];
  v_held bigint[];
  -- Offers whose tasks another transaction holds: skipped until all others were tried.
  v_skip bigint[] := in_skip;
  v_events async.event_t[];
begin
  if v_limit < 1 then
    raise exception 'cannot take % tasks', v_limit using errcode = 'PA041', hint = 'The limit must be at least 1.';
  end if;
  select t.* into v_target from async.target t where t.target = async.resolve_target(in_target);
  if v_target.target is null or v_target.retired or not v_target.asynchronous_finish then
    raise exception 'clients cannot pull tasks of the target %: %', coalesce(quote_literal(in_target), 'null'),
        case when v_target.target is null then 'there is none of that name'
          when v_target.retired then 'it is retired'
          else 'it does not finish asynchronously' end
      using errcode = 'PA040', hint = 'An administrator configures it with asynchronous_finish. Then push tasks without a query.';
  end if;
  perform async.wake_leader();
  loop
    v_offers := array(
      select o.task_id
      from async.offer o
      where o.target = v_target.target and o.task_id <> all (v_skip)
      order by o.priority, o.entered, o.task_id
      limit v_limit
      for update skip locked);
    v_held := array(
      select t.task_id from async.task t where t.task_id = any (v_offers) order by t.task_id
      for no key update skip locked);
    select array_agg(row(t.task_id, null, 'TAKE', n.now, null, null, null, null, o.timeout, null, null, null)::async.event_t
      order by t.priority, t.entered, t.task_id)
    into v_events
    from async.offer o
    join async.task t on t.task_id = o.task_id
    cross join (select clock_timestamp() as now offset 0) n
    cross join lateral async.step_task(t, 'TAKE', null, null, null, null, o.timeout, null, n.now) s
    where o.task_id = any (v_held) and s.rejected is null;
    -- Deletes offers of tasks that are no longer READY (finished or deleted by hand, overdue).
    delete from async.offer o
    where o.task_id = any (v_offers)
      and (o.task_id = any (v_held) or not exists (select from async.task t where t.task_id = o.task_id))
      and o.task_id <> all (array(select e.task_id from unnest(v_events) e));
    exit when v_events is not null
      or clock_timestamp() >= in_until
      or current_setting('transaction_isolation') not in ('read committed', 'read uncommitted');
    if v_offers <> '{}' then
      v_skip := v_skip || v_offers;
    else
      v_skip := in_skip;
      perform pg_sleep(least(v_pause_seconds, extract(epoch from in_until - clock_timestamp())::float8));
      v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
    end if;
  end loop;
  return v_events;
end
$function$;

-- clients/pull_tasks
-- Purpose: async.get_tasks on a server. A task whose row cannot be written is skipped, and the
--   tasks behind it are taken.
-- Returns: the tasks that were taken and are RUNNING, in order.
-- Raises: PA040 for a target that clients cannot pull from, PA041 for a limit below 1. A warning
--   for each row that cannot be written.
-- Locks: the offers and rows that it takes, until the end of the transaction.
create or replace function async.pull_tasks(in_target text, in_limit int, in_timeout interval)
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_until constant timestamptz := async.pull_until(in_timeout);
  v_events async.event_t[];
  v_refused bigint[] := '{}';
  v_tasks bigint[];
begin
  loop
    v_events := async.take_offers(in_target, in_limit, v_until, v_refused);
    exit when v_events is null;
    v_tasks := async.write_pulls(v_events);
    v_refused := pg_catalog.array_cat(v_refused, v_tasks);
    if pg_catalog.cardinality(v_tasks) operator(pg_catalog.<) pg_catalog.cardinality(v_events) then
      return query
        select * from async.taken_tasks(v_events);
      exit;
    end if;
  end loop;
end
$function$;

-- clients/pull_until
-- Purpose: the time at which a call of async.get_tasks stops waiting.
-- Returns: the end of in_timeout, which is 30 seconds for null and at most one minute.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pull_until(in_timeout interval)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return clock_timestamp() + least(coalesce(in_timeout, '30 seconds'), '1 minute');
end
$function$;

-- clients/write_pulls
-- Purpose: writes the events of async.get_tasks: in one statement, or row by row where users have
--   triggers or that statement raises. Deferred constraints of async.task are checked here, because
--   at the commit of the client they would fail the call for all tasks.
-- Returns: the tasks whose rows raised an error.
-- Raises: serialization failures and deadlocks, for the caller. A warning for each row that raised
--   an error.
-- Locks: the rows of async.task, which the caller holds already.
create or replace function async.write_pulls(in_events async.event_t[])
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_check constant text := async.constraints_of_tasks('immediate');
  v_defer constant text := async.constraints_of_tasks('deferred');
  v_left async.event_t[] := in_events;
  v_event async.event_t;
  v_refused bigint[] := '{}';
begin
  if not async.has_user_triggers() then
    begin
      v_left := async.write_events_at_once(in_events);
    exception
      when serialization_failure or deadlock_detected then raise;
      when assert_failure or others then
        v_left := in_events;
    end;
  end if;
  foreach v_event in array v_left loop
    begin
      perform async.write_row(v_event, null);
      if v_check is not null then
        perform async.check_constraints(v_defer, v_check);
      end if;
    exception
      when serialization_failure or deadlock_detected then raise;
      when assert_failure or others then
        v_refused := array_append(v_refused, v_event.task_id);
        raise warning 'the task % cannot be taken: %', v_event.task_id, sqlerrm;
    end;
  end loop;
  return v_refused;
end
$function$;

-- clients/constraints_of_tasks
-- Purpose: builds the statement that sets when the initially deferred constraints of async.task are
--   checked.
-- Returns: the statement; null when there is no such constraint.
-- Raises: nothing.
-- Locks: none.
create or replace function async.constraints_of_tasks(in_when text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select 'set constraints ' || string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ') || ' ' || in_when
    from pg_constraint c
    join pg_namespace n on n.oid = c.connamespace
    where c.conrelid = 'async.task'::regclass and c.condeferred
      and not exists (
        select from pg_constraint o
        where o.connamespace = c.connamespace and o.conname = c.conname and not o.condeferrable));
end
$function$;

-- clients/taken_tasks
-- Purpose: the tasks of the given events that were taken.
-- Returns: those that are RUNNING, in order.
-- Raises: nothing.
-- Locks: none.
create or replace function async.taken_tasks(in_events async.event_t[])
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  return query
    select t.task_id, t.priority, t.times_up, t.task_data
    from unnest(in_events) e
    join async.task t on t.task_id = e.task_id
    where t.consumed is not null and t.processed is null and t.yielded is null
    order by t.priority, t.entered, t.task_id;
end
$function$;

-- clients/await_latch
-- Purpose: async.wait_for_latch on a server: draws the next number and waits until the leader has
--   served it. Sequences are not transactional, so the call needs no commit.
-- Returns: nothing.
-- Raises: PA050 when no orchestrator leads, PA051 above READ COMMITTED.
-- Locks: none that others wait for.
create or replace function async.await_latch() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause_seconds_max constant float8 := 0.05;
  v_pause_seconds float8 := 0.001;
  v_mine bigint;
begin
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'a transaction that is % cannot see what the leader did meanwhile',
        current_setting('transaction_isolation')
      using errcode = 'PA051', hint = 'Wait for the latch at READ COMMITTED.';
  end if;
  v_mine := nextval('async.latch_requested');
  perform async.wake_leader();
  while (select s.last_value from async.latch_served s) < v_mine loop
    if not async.leader_exists() then
      raise exception 'no orchestrator is running'
        using errcode = 'PA050', hint = 'The owner of the schema starts one: call async.main(), or pgasync run.';
    end if;
    perform pg_sleep(v_pause_seconds);
    v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
  end loop;
end
$function$;

-- clients/await_ends
-- Purpose: waits until all of these tasks have ended, or have been deleted meanwhile.
-- Returns: nothing.
-- Raises: PA052 for a task that does not exist, PA053 for an unfinished one that the transaction itself
--   has pushed or restarted.
-- Locks: none.
create or replace function async.await_ends(in_task_ids bigint[], in_until timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause_seconds_max constant float8 := 0.1;
  v_pause_seconds float8 := 0.002;
  v_mine constant bigint := txid_current_if_assigned();
  v_refused record;
  v_open bigint[];
begin
  select i.id, t.task_id is not null as known into v_refused
  from unnest(in_task_ids) with ordinality as i(id, place)
  left join async.task t on t.task_id = i.id
  where t.task_id is null or t.processed is null and t.arrived = v_mine and t.consumed is null
  order by i.place
  limit 1;
  if v_refused.known then
    raise exception 'task % was pushed or restarted in this transaction, and does not start before its commit',
        v_refused.id
      using errcode = 'PA053', hint = 'Commit, then wait for it.';
  elsif not v_refused.known then
    raise exception 'there is no task %', coalesce(v_refused.id::text, 'null')
      using errcode = 'PA052', hint = 'Tasks are deleted task_keep_duration after they finished.';
  end if;
  v_open := in_task_ids;
  loop
    v_open := array(
      select t.task_id from unnest(v_open) as i(id) join async.task t on t.task_id = i.id where t.processed is null);
    exit when v_open = '{}' or clock_timestamp() >= coalesce(in_until, '-infinity');
    perform pg_sleep(least(v_pause_seconds, extract(epoch from in_until - clock_timestamp())));
    v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
  end loop;
end
$function$;

-- clients/target_setup
-- Purpose: the SQL that a target needs for tasks with receipts, for the administrator of its database.
--   Nothing is created by itself. For the owner and administrators.
-- Returns: text; to be run in the database of the target.
-- Raises: PA011 for an unknown target.
-- Locks: none.
create or replace function async.target_setup(_target text) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_setup constant text := $setup$-- Receipts of pgasync for the target %1$s. Run this in its database. It may be run again.
create schema if not exists pgasync;
create table if not exists pgasync.receipt (
  server_id text not null,
  election text not null,
  task_id bigint not null,
  run int not null,
  -- The run was lost: its query had no effect, and can have none.
  voided bool not null default false,
  written timestamptz not null default clock_timestamp(),
  primary key (server_id, election, task_id, run)
);
comment on table pgasync.receipt is
  'Tasks of pgasync whose queries have committed here, or never will (voided). pgasync deletes the rows.';
%2$sgrant usage on schema pgasync to %3$s;
%2$sgrant select, insert, update, delete on pgasync.receipt to %3$s;
$setup$;
  v_target async.target;
  v_role text;
begin
  select t.* into v_target
  from async.target t cross join async.control c
  where t.target = _target or upper(_target) = 'SELF' and t.target = c.self_target
  order by t.target <> _target
  limit 1;
  if not found then
    raise exception 'there is no target %', coalesce(quote_literal(_target), 'null')
      using errcode = 'PA011', hint = 'async.set_target adds targets; async.v_target lists them.';
  end if;
  v_role := async.parse_conninfo(v_target.connection_string) ->> 'user';
  return format(c_setup, async.visible_text(v_target.target),
    case when v_role is null then '-- The connection string names no role: ' else '' end,
    coalesce(quote_ident(v_role), 'ROLE'));
end
$function$;

-- clients/routine_call
-- Purpose: the text of a routine after CALL, without a CALL of its own and without a semicolon.
-- Returns: text; null for null.
-- Raises: nothing. Locks: none.
create or replace function async.routine_call(in_routine text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select regexp_replace(btrim(in_routine, E' \t\r\n;'), E'^call\\s+', '', 'i')
$function$;

-- clients/push_routine
-- Purpose: registers a routine that the leader calls when it starts, or in every cycle. A second
--   registration changes nothing.
-- Returns: nothing.
-- Raises: PA090 without a type or a text.
-- Locks: the row of async.control, until the end of the transaction.
create or replace function async.push_routine(_routine_type async.routine_type_t, _routine text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if _routine_type is null or coalesce(async.routine_call(_routine), '') = '' then
    raise exception 'a routine needs its type and the text that follows CALL'
      using errcode = 'PA090', hint = 'select async.push_routine(''LOOP'', ''my_schema.my_procedure()'')';
  end if;
  update async.control c set
    startup_routines = c.startup_routines || case when _routine_type = 'STARTUP' then array[_routine] else '{}' end,
    loop_routines = c.loop_routines || case when _routine_type = 'LOOP' then array[_routine] else '{}' end
  where not exists (
    select
    from unnest(case _routine_type when 'STARTUP' then c.startup_routines else c.loop_routines end) as r(routine)
    where async.routine_call(r.routine) = async.routine_call(_routine));
end
$function$;

-- clients/set_concurrency_pool_tracker
-- Purpose: publishes pools that have no row yet. The leader does so by itself. Scripts of the
--   original library call this function.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it inserts.
create or replace function async.set_concurrency_pool_tracker(_pools text[]) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $function$
  insert into async.concurrency_pool_tracker (concurrency_pool, workers, max_workers)
  select distinct p.pool, 0, async.pool_limit(p.pool)
  from unnest(_pools) as p(pool)
  where p.pool is not null
  order by p.pool
  on conflict (concurrency_pool) do nothing
$function$;

-- clients/active_workers
-- Purpose: the number of workers that run a task, as published within the last second.
-- Returns: the number.
-- Raises: nothing. Locks: none.
create or replace function async.active_workers() returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select count(*) from async.worker w where w.task_id is not null
$function$;

-- clients/worker_info
-- Purpose: the state of every worker, for a dashboard.
-- Returns: an array of objects in the order of slot; null without workers.
-- Raises: nothing. Locks: none.
create or replace function async.worker_info() returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select jsonb_agg(
    jsonb_build_object(
      'slot', w.slot,
      'target', w.target,
      'task_id', w.task_id,
      'running_since', w.running_since,
      'query', t.query,
      'priority', t.priority)
    order by w.slot)
  from async.worker w
  left join async.task t on t.task_id = w.task_id
$function$;

-- clients/interval_pretty
-- Purpose: an interval in short form: 1d 2h 3m 4s, 2h 3m 4s, 3m 4s, 1.5s, with more digits below
--   0.1 s.
-- Returns: text; null for null.
-- Raises: nothing. Locks: none.
create or replace function async.interval_pretty(i interval) returns text
language sql immutable strict
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when not isfinite(i) then i::text
    when p.total = 0 then '0s'
    when p.total < 0 then '-' || async.interval_pretty(-i)
    when p.total >= 59.95 then concat(
      case when p.whole >= 86400 then trunc(p.whole / 86400) || 'd ' end,
      case when p.whole >= 3600 then trunc(p.whole / 3600) % 24 || 'h ' end,
      trunc(p.whole / 60) % 60 || 'm ',
      p.whole % 60 || 's')
    when p.total >= 0.1 then round(p.total, 1) || 's'
    when p.total >= 0.01 then round(p.total, 2) || 's'
    when p.total >= 0.001 then round(p.total, 3) || 's'
    when p.total >= 0.0001 then round(p.total, 4) || 's'
    else round(p.total, 5) || 's'
  end
  from (
    select extract(epoch from i)::numeric as total, round(extract(epoch from i)::numeric) as whole
  ) p
$function$;

-- dblink/results/cut_text
-- Purpose: cuts a text to 64 KiB, at a character boundary.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.cut_text(in_text text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_error_text_bytes_max constant int := 65536;
  v_text text := left(in_text, c_error_text_bytes_max);
begin
  while octet_length(v_text) > c_error_text_bytes_max loop
    v_text := left(v_text, greatest((length(v_text)::bigint * c_error_text_bytes_max
      / octet_length(v_text))::int - 1, 0));
  end loop;
  return v_text;
end
$function$;

-- dblink/results/valid_text
-- Purpose: replaces the bytes of a text from dblink that are not valid in the encoding of the
--   database. A query may have changed its client_encoding, and stored texts must be readable.
-- Returns: text; null for null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.valid_text(in_text text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform convert_to(in_text, getdatabaseencoding());
  return in_text;
exception when character_not_in_repertoire or untranslatable_character then
  return replace(
    regexp_replace(encode(textsend(in_text), 'escape'), E'\\\\[0-7]{3}', '?', 'g'),
    E'\\\\\\\\', E'\\\\');
end
$function$;

-- dblink/results/describe_error
-- Purpose: the error of a query as processing_error has it: SQLSTATE and message, then detail, hint
--   and context of the target, without the context lines that dblink adds, cut to 64 KiB.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_error(
  in_conn text, in_code text, in_message text, in_detail text, in_hint text, in_context text
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_lines text[] := string_to_array(async.valid_text(in_context), E'\n');
  v_kept text[] := '{}';
  v_line text;
begin
  foreach v_line in array coalesce(v_lines, '{}') loop
    -- Before Postgres 13 the context line of dblink precedes those of the target. From 13 on it
    -- follows them.
    exit when v_line like 'SQL statement "select /* results of a session */%'
      or v_line like 'PL/pgSQL function async.read_results(%';
    continue when strpos(v_line, '"' || in_conn || '"') > 0
      or v_line like 'PL/pgSQL function inline_code_block line 1 at %';
    v_kept := v_kept || v_line;
  end loop;
  return async.cut_text(concat_ws(E'\n',
    format('%s: %s', in_code, async.valid_text(in_message)),
    'DETAIL: ' || nullif(async.valid_text(in_detail), ''),
    'HINT: ' || nullif(async.valid_text(in_hint), ''),
    'CONTEXT: ' || nullif(array_to_string(v_kept, E'\n'), '')));
end
$function$;

-- dblink/results/read_results
-- Purpose: reads the results of the query of a session without waiting: each result after
--   dblink_is_busy has reported it, until the empty result that ends the query. A call reads for a
--   limited time, because a target may send results without end.
-- Returns: ended: the end of the query, or an error after which the session must not be read again;
--   the first error with its SQLSTATE (null: none so far); the greatest value of the last result with
--   rows; how often the call has read; when it has read for as long as it may, the time that it waited
--   for dblink_is_busy, which receives what the target sends.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: none.
create or replace function async.read_results(
  in_conn text, out ended bool, out code text, out error text, out value text, out results int,
  out receiving interval
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_results_max constant int := 1000;
  c_time_max constant interval := '20 milliseconds';
  v_until constant timestamptz := clock_timestamp() + c_time_max;
  v_began timestamptz;
  v_receiving interval := '0';
  v_rows bigint;
  v_empty bool;
  v_value text;
  v_next text;
  v_message text;
  v_detail text;
  v_hint text;
  v_context text;
  v_code text;
begin
  ended := false;
  results := 0;
  receiving := '0';
  loop
    v_began := clock_timestamp();
    exit when public.dblink_is_busy(in_conn) = 1;
    v_receiving := v_receiving + (clock_timestamp() - v_began);
    results := results + 1;
    begin
      -- One result and, if it has arrived, the next one, which usually is the empty one.
      select /* results of a session */
        count(*) filter (where r.place = 1), max(r.v) filter (where r.place = 1),
        coalesce(bool_and(not r.is_row) filter (where r.place = 2), false), max(r.v) filter (where r.place = 2)
      into v_rows, v_value, v_empty, v_next
      from (
        select 1 as place, f.v, true as is_row
        from public.dblink_get_result(in_conn) as f(v text)
        union all
        select 2, n.v, n.is_row is not null
        from (select in_conn as conn where public.dblink_is_busy(in_conn) = 0 offset 0) g
        left join lateral (select true as is_row, f.v from public.dblink_get_result(g.conn) as f(v text)) n on true
      ) r;
      if v_rows > 0 then
        value := coalesce(v_next, v_value);
      end if;
      if v_rows = 0 or v_empty then
        ended := true;
        return;
      end if;
    exception when query_canceled or assert_failure or others then
      get stacked diagnostics
        v_code = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail,
        v_hint = pg_exception_hint, v_context = pg_exception_context;
      -- "others" excludes two codes, which a query may raise as well. The context of a cancel of
      -- this session itself does not name the connection.
      if v_code = '57014' and strpos(v_context, '"' || in_conn || '"') = 0 then
        raise;
      end if;
      -- This side refuses a result of more than one column, after the query has succeeded.
      if not (v_code = '42804' and strpos(v_context, '"' || in_conn || '"') = 0) and code is null then
        code := v_code;
        error := async.describe_error(in_conn, v_code, v_message, v_detail, v_hint, v_context);
        -- COPY from or to the client is neither a success nor an error for dblink, and libpq has no
        -- message about it.
        if v_code = '08006' and coalesce(public.dblink_error_message(in_conn), 'OK') = 'OK' then
          error := 'PA205: COPY from STDIN or to STDOUT has no client to talk to here; use a file, or insert ... select';
        end if;
      end if;
      -- During COPY libpq reports the same result for ever.
      if async.ends_session(v_code) then
        ended := true;
        return;
      end if;
    end;
    if results >= c_results_max or clock_timestamp() >= v_until then
      receiving := v_receiving;
      return;
    end if;
  end loop;
end
$function$;

-- dblink/sessions/open_session
-- Purpose: opens a connection, with a limit on the time. Up to Postgres 15 connect_timeout of the
--   string is the limit. From 16 on (in_watched) a watchdog session cancels this one when the
--   attempt takes too long.
-- Returns: null, or the error.
-- Raises: a cancel that the watchdog did not send.
-- Locks: an advisory lock with a new key while it connects, which the watchdog looks for.
-- (Longer than a screen: one attempt with its errors.)
create or replace function async.open_session(in_conn text, in_conninfo text, in_watched bool)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_connect_ms_max constant int := 2000;
  v_message text;
  v_detail text;
  v_watching bool := false;
  v_key bigint;
  v_verdict text;
begin
  if in_watched then
    loop
      v_key := async.random_key();
      exit when pg_try_advisory_lock(v_key);
    end loop;
    -- The end of its last answer may have arrived after the answer.
    perform async.read_results('pgasync_watchdog');
    v_watching := public.dblink_send_query('pgasync_watchdog'::text,
      format('select async.watch_leader(%s, %s, %s)', pg_backend_pid(), v_key, c_connect_ms_max)) = 1;
  end if;
  begin
    begin
      perform public.dblink_connect(in_conn, in_conninfo);
    exception when others then
      get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail;
      v_message := async.mask_text(concat_ws(': ', v_message, nullif(v_detail, '')));
    end;
    if v_watching then
      perform pg_advisory_unlock(v_key);
      while public.dblink_is_busy('pgasync_watchdog'::text) = 1 loop
        perform pg_sleep(0.0005);
      end loop;
      -- A cancel that was sent takes effect here at the latest.
      perform pg_sleep(0);
    end if;
  exception when query_canceled then
    if not v_watching then
      raise;
    end if;
    perform pg_advisory_unlock(v_key)
    from pg_locks l
    where l.pid = pg_backend_pid() and async.is_advisory_lock(l, v_key);
    for v_try in 1..2000 loop
      exit when public.dblink_is_busy('pgasync_watchdog'::text) = 0;
      perform pg_sleep(0.001);
    end loop;
    select r.value into v_verdict from async.read_results('pgasync_watchdog') r;
    if v_verdict is distinct from 'cancelled' then
      raise;
    end if;
    if in_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
      perform public.dblink_disconnect(in_conn);
    end if;
    return 'the connection was not made within 2 seconds';
  end;
  if v_watching then
    perform async.read_results('pgasync_watchdog');
  elsif in_watched then
    perform pg_advisory_unlock(v_key);
  end if;
  return v_message;
end
$function$;

-- dblink/sessions/watch_leader
-- Purpose: runs in the watchdog session: looks whether the leader has released the advisory lock
--   in_key after its connection attempt, and cancels the attempt when that takes too long. It does
--   not wait for the lock, which another role could take first.
-- Returns: 'made' or 'cancelled'.
-- Raises: nothing.
-- Locks: none.
create or replace function async.watch_leader(in_pid int, in_key bigint, in_ms_max int)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_look_seconds_max constant float := 0.005;
  v_until constant timestamptz := clock_timestamp() + in_ms_max * interval '1 millisecond';
  v_look_seconds float := 0.0005;
begin
  while exists (select from pg_locks l where l.pid = in_pid and async.is_advisory_lock(l, in_key)) loop
    if clock_timestamp() >= v_until then
      perform pg_cancel_backend(in_pid);
      return 'cancelled';
    end if;
    perform pg_sleep(v_look_seconds);
    v_look_seconds := least(v_look_seconds * 1.5, c_look_seconds_max);
  end loop;
  return 'made';
end
$function$;

-- dblink/sessions/close_session
-- Purpose: closes a dblink connection in any state.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_session(in_conn text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
    perform public.dblink_disconnect(in_conn);
  end if;
exception when others then
  null;
end
$function$;

-- dblink/sessions/drop_session
-- Purpose: drops the session of a worker that runs no query, or whose query is known to have ended.
--   The worker is empty afterwards.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the session's row of async.session.
create or replace function async.drop_session(in_worker int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_worker record;
begin
  select s.conn, s.session_id into v_worker from pg_temp.leader_worker s where s.worker = in_worker;
  perform async.close_session(v_worker.conn);
  perform async.unregister_sessions(array[v_worker.session_id]) where v_worker.session_id is not null;
  update pg_temp.leader_worker s
  set state = 'empty', target = null, conninfo = null, address = null, session_id = null, cleaning = false,
      result_read = false, dblink_schema = null, connections_closed = false, broken_at = null, unreachable = false,
      since = clock_timestamp()
  where s.worker = in_worker;
end
$function$;

-- dblink/sessions/self_conninfo
-- Purpose: the connection string to this server itself. A missing port, database or user is that of
--   this session.
-- Returns: text.
-- Raises: PA001 when the string cannot be parsed.
-- Locks: none.
create or replace function async.self_conninfo()
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_string text := (select c.self_connection_string from async.control c);
begin
  return async.extend_conninfo(v_string,
    jsonb_build_object('port', current_setting('port'), 'dbname', current_database(), 'user', session_user)
    || async.parse_conninfo(v_string));
end
$function$;

-- dblink/sessions/session_name
-- Purpose: the application_name of a session of the present leader at a target, at most 63 bytes.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.session_name(in_role text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select format('pgasync/%s/%s.%s/%s', l.server_id, l.epoch, e.nonce, in_role)
  from async.leader l
  join async.election e on e.epoch = l.epoch
$function$;

-- dblink/sessions/refuse_reference
-- Purpose: refuses a connection string whose password is a reference, before dblink sends the
--   reference to the target as a password.
-- Returns: nothing.
-- Raises: PA215.
-- Locks: none.
create or replace function async.refuse_reference(in_connection_string text, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.references_secret(in_connection_string) then
    raise exception 'target "%" needs pgasync run: its password is a reference', in_target
      using errcode = 'PA215', hint = 'The SQL engine resolves no references. Its tasks wait.';
  end if;
end
$function$;

-- dblink/sessions/target_conninfo
-- Purpose: the connection string for a session at a target: the configured one (completed for the
--   server itself) with the name of the session, keepalives and a limit on the connection attempt. A
--   target that does not read loses its session after tcp_user_timeout, which libpq has from 12 on.
--   The encoding is a part of the string, because a reset would undo a SET, and dblink sets it once.
-- Returns: text.
-- Raises: PA204 when the target has no connection string, PA215 when its password is a reference.
-- Locks: none.
create or replace function async.target_conninfo(
  in_target text, in_role text, in_startup_options bool, in_connect_seconds int
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conninfo text;
  v_given jsonb;
begin
  select case when t.target = c.self_target then async.self_conninfo() else t.connection_string end
  into v_conninfo
  from async.target t cross join async.control c
  where t.target = in_target;
  if v_conninfo is null then
    raise exception 'target "%" has no connection string', in_target
      using errcode = 'PA204', hint = 'Give it one with async.configure';
  end if;
  perform async.refuse_reference(v_conninfo, in_target);
  v_given := async.parse_conninfo(v_conninfo);
  return async.extend_conninfo(v_conninfo,
    jsonb_build_object(
      'application_name', async.session_name(in_role),
      'connect_timeout', in_connect_seconds::text,
      'keepalives', '1', 'keepalives_idle', '30', 'keepalives_interval', '10', 'keepalives_count', '3',
      'client_encoding', getdatabaseencoding())
    || case when current_setting('server_version_num')::int >= 120000
      then jsonb_build_object('tcp_user_timeout', coalesce(nullif(v_given ->> 'tcp_user_timeout', '0'), '5000'))
      else '{}'
    end
    || case when in_startup_options
      then jsonb_build_object('options',
        concat_ws(' ', v_given ->> 'options', '-c client_connection_check_interval=5s'))
      else '{}'
    end);
end
$function$;

-- dblink/sessions/refuse_unknown_sessions
-- Purpose: runs in a helper session that is connected to a target: looks for sessions of the same
--   role that have the id of this server and belong to none of its elections. Such sessions belong
--   to a physical copy of this server, or this server is the copy. Nothing is launched or ended at
--   the target while they exist.
-- Returns: nothing.
-- Raises: PA210 when there are such sessions.
-- Locks: none.
create or replace function async.refuse_unknown_sessions(in_conn text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_sessions_max constant int := 1000;
  v_answer jsonb;
  v_unknown text;
begin
  v_answer := async.query_target(in_conn, format(
    'select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(s.pid, s.election)), ''[]'') from ('
    'select a.pid, pg_catalog.split_part(a.application_name, ''/'', 3) as election '
    'from pg_catalog.pg_stat_activity a where a.application_name operator(pg_catalog.~~) %L '
    'and pg_catalog.split_part(a.application_name, ''/'', 4) operator(pg_catalog.~) ''^[0-9]+$'' '
    'and a.usename operator(pg_catalog.=) session_user limit %s) s',
    'pgasync/' || (select l.server_id from async.leader l) || '/%', c_sessions_max));
  select string_agg((s.found ->> 0)::int::text, ', ' order by (s.found ->> 0)::int) into v_unknown
  from jsonb_array_elements(v_answer) as s(found)
  where not exists (
    select from async.election e
    where e.epoch::text = split_part(s.found ->> 1, '.', 1) and e.nonce = split_part(s.found ->> 1, '.', 2));
  if v_unknown is not null then
    raise exception 'sessions of this server that it did not open run there (pids %): is this database a copy?',
      v_unknown
      using errcode = 'PA210',
        hint = 'On the copy: select async.adopt(), then start the orchestrator anew';
  end if;
end
$function$;

-- dblink/helpers/query_target
-- Purpose: runs in a helper session: sends a query to a target and waits for its answer, one row with
--   one text that is not null. dblink(connection, query) would not return when the target begins COPY or sends results
--   without end, and on Postgres 15 and older no cancel ends it.
-- Returns: the text.
-- Raises: 08006 when the query cannot be sent, or is not answered in time; 08P01 when the answer has
--   another shape; the error of the target. The connection must not be used after any of them.
-- Locks: none.
create or replace function async.query_target(in_conn text, in_query text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_answer_max constant interval := '5 seconds';
  c_poll_seconds_max constant float8 := 0.01;
  v_until constant timestamptz := clock_timestamp() + c_answer_max;
  v_poll_seconds float8;
  v_answer text;
  v_rows bigint;
begin
  if public.dblink_send_query(in_conn, in_query) <> 1 then
    raise exception 'a query was not sent: %', public.dblink_error_message(in_conn) using errcode = 'connection_failure';
  end if;
  -- The row, and the empty result that ends the query.
  for v_expected in reverse 1..0 loop
    v_poll_seconds := 0.0005;
    while public.dblink_is_busy(in_conn) = 1 loop
      if clock_timestamp() >= v_until then
        raise exception 'a query was not answered within % seconds', extract(epoch from c_answer_max)
          using errcode = 'connection_failure';
      end if;
      perform pg_sleep(v_poll_seconds);
      v_poll_seconds := least(v_poll_seconds * 1.5, c_poll_seconds_max);
    end loop;
    select count(*), coalesce(max(r.v), v_answer) into v_rows, v_answer from public.dblink_get_result(in_conn) as r(v text);
    if v_rows <> v_expected or v_answer is null then
      raise exception 'the answer to a query has another shape than was expected' using errcode = 'protocol_violation';
    end if;
  end loop;
  return v_answer;
end
$function$;

-- dblink/helpers/probe_target
-- Purpose: runs in a helper session: first contact with a target, which may block for long.
-- Returns: server_version_num of the target.
-- Raises: the error of the connection, PA204, PA210; 08P01 for an answer that is not a version.
-- Locks: none.
create or replace function async.probe_target(in_conninfo_of text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conninfo text;
  v_version text;
begin
  v_conninfo := async.target_conninfo(in_conninfo_of, 'probe', false, 2);
  perform async.close_session('pgasync_probe');
  perform public.dblink_connect('pgasync_probe'::text, v_conninfo);
  v_version := async.query_target('pgasync_probe', 'select pg_catalog.current_setting(''server_version_num'')');
  if (v_version ~ '^[0-9]{5,7}$') is not true then
    raise exception 'the target did not say its version' using errcode = 'protocol_violation';
  end if;
  perform async.refuse_unknown_sessions('pgasync_probe');
  perform public.dblink_disconnect('pgasync_probe'::text);
  return v_version;
exception when query_canceled or assert_failure or others then
  -- An answer may have any SQLSTATE, also one that "others" leaves out.
  perform async.close_session('pgasync_probe');
  raise;
end
$function$;

-- dblink/helpers/end_sessions
-- Purpose: runs in a helper session: cancels or terminates registered sessions over a second
--   connection, each identified by pid and backend_start. The connection goes to the recorded
--   address or, with in_present, to the present address of the target. 'fence' terminates the
--   sessions and checks for up to five seconds whether they are gone. Sessions that may belong to
--   another server are only looked up.
-- Returns: for a fence, the result for each session: a JSON array of {id, state, error}. state is
--   gone, waiting (left alone), failed, or unreached (no server answered, or another one than the
--   session was opened at). Otherwise '[]'.
-- Raises: for a cancel and a termination the error of the connection.
-- Locks: none.
create or replace function async.end_sessions(in_ids bigint[], in_how text, in_present bool)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
as $function$
declare
  c_connect_seconds_max constant int := 2;
  v_address record;
  v_found jsonb := '[]';
  v_step text;
  v_context text;
begin
  for v_address in
    select async.fence_conninfo(s, in_present, c_connect_seconds_max) as connection_string,
      array_agg(s.session_id order by s.session_id) as ids
    from async.session s where s.session_id = any (in_ids)
    group by 1
  loop
    begin
      v_step := 'unreached';
      perform async.close_session('pgasync_end');
      perform public.dblink_connect('pgasync_end'::text, v_address.connection_string);
      v_step := 'failed';
      if in_how = 'fence' then
        v_found := v_found || async.fence_sessions('pgasync_end', v_address.ids,
          async.parse_conninfo(v_address.connection_string));
      else
        perform async.signal_backends('pgasync_end', array(
          select s from async.session s where s.session_id = any (v_address.ids) order by s.session_id),
          case in_how when 'cancel' then 'pg_cancel_backend' else 'pg_terminate_backend' end, null);
      end if;
      perform async.close_session('pgasync_end');
    exception when query_canceled or assert_failure or others then
      -- A target's answer may have any SQLSTATE; a cancel of this session itself ends the call.
      get stacked diagnostics v_context = pg_exception_context;
      perform async.close_session('pgasync_end');
      if in_how <> 'fence' or sqlstate = '57014' and strpos(v_context, '"pgasync_end"') = 0 then
        raise;
      end if;
      v_found := v_found || (
        select jsonb_agg(jsonb_build_object(
          'id', i, 'state', v_step, 'error', async.mask_text(sqlstate || ': ' || sqlerrm)))
        from unnest(v_address.ids) i);
    end;
  end loop;
  return v_found::text;
end
$function$;

-- dblink/helpers/fence_conninfo
-- Purpose: the connection string to the server of a registered session, for its end: the recorded
--   one or, with in_present, the present one of its target. If the recorded string names no user,
--   the role of the session is used.
-- Returns: text.
-- Raises: PA204 when the target has no connection string, PA215 when its password is a reference.
-- Locks: none.
create or replace function async.fence_conninfo(in_session async.session, in_present bool, in_connect_seconds int)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_present and exists (select from async.target t where t.target = in_session.target) then
    return async.target_conninfo(in_session.target, 'fence', false, in_connect_seconds);
  end if;
  perform async.refuse_reference(in_session.connection_string, in_session.target);
  return async.extend_conninfo(in_session.connection_string,
    jsonb_build_object('user', coalesce(async.parse_conninfo(in_session.connection_string) ->> 'user', in_session.role),
      'connect_timeout', in_connect_seconds::text,
      -- With the recorded name, this session would look like a session of the leader that is to be
      -- ended.
      'application_name', async.session_name('fence')));
end
$function$;

-- dblink/helpers/resolve_receipts
-- Purpose: runs in a helper session, for a fence: resolves the receipts of sessions that are known to be
--   gone, over a connection to their server.
-- Returns: an array with task_id, run, and what is recorded: outcome (ok or error), error, and result (for a
--   task whose rows are kept).
-- Raises: the errors of the target; 08P01 for an unexpected answer. Nothing is resolved then.
-- Locks: none.
create or replace function async.resolve_receipts(in_conn text, in_sessions bigint[])
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_receipt record;
  v_answer text;
  v_resolved jsonb := '[]';
begin
  for v_receipt in select o.* from async.open_receipts(in_sessions) o loop
    if v_resolved = '[]' then
      perform async.query_target(in_conn, async.void_settings());
    end if;
    v_answer := async.query_target(in_conn, v_receipt.query);
    if v_answer not in ('true', 'false') then
      raise exception 'the receipt of task % is in another database: %', v_receipt.task_id, left(v_answer, 100)
        using errcode = 'protocol_violation';
    end if;
    v_resolved := v_resolved || jsonb_build_object('task_id', v_receipt.task_id, 'run', v_receipt.run,
      'outcome', case v_answer when 'true' then 'error' else 'ok' end,
      'error', case v_answer when 'true' then v_receipt.voided end,
      'result', case v_answer when 'false' then v_receipt.result end);
  end loop;
  return v_resolved;
end
$function$;

-- dblink/helpers/add_receipts
-- Purpose: runs in a helper session, for a fence: resolves the receipts of the sessions that it has found to be
--   gone. in_found is the result of the fence; in_started and in_system_identifier are of the server of
--   the connection.
-- Returns: in_found, in which a session with receipts that are resolved has them (async.resolve_receipts),
--   and one with others has the state failed.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: none.
create or replace function async.add_receipts(
  in_conn text, in_found jsonb, in_started timestamptz, in_system_identifier text
) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_session record;
  v_resolved jsonb := '{}';
  v_failed jsonb := '{}';
  v_context text;
  v_error text;
begin
  for v_session in
    select s as registered from async.session s
    where s.session_id in (
        select (f ->> 'id')::bigint from jsonb_array_elements(in_found) f where f ->> 'state' = 'gone')
      and exists (select from async.receipt r where r.session_id = s.session_id)
    order by s.session_id
  loop
    begin
      if v_error is not null then
        raise exception '%', v_error;
      end if;
      if not async.has_its_receipts(v_session.registered, in_started, in_system_identifier) then
        raise exception 'it is unknown whether the server that answers has it: its role may not read the system identifier'
          using errcode = '42501';
      end if;
      v_resolved := v_resolved || jsonb_build_object((v_session.registered).session_id,
        async.resolve_receipts(in_conn, array[(v_session.registered).session_id]));
    exception when query_canceled or assert_failure or others then
      get stacked diagnostics v_context = pg_exception_context;
      if sqlstate = '57014' and strpos(v_context, '"' || in_conn || '"') = 0 then
        raise;
      end if;
      v_failed := v_failed || jsonb_build_object((v_session.registered).session_id,
        format('it is gone, and its receipt cannot be resolved: %s: %s', sqlstate, sqlerrm));
      -- After an error the connection must not be used any more.
      v_error := coalesce(v_error, format('after %s', sqlstate));
      perform async.close_session(in_conn);
    end;
  end loop;
  if v_resolved = '{}' and v_failed = '{}' then
    return in_found;
  end if;
  return (
    select jsonb_agg(case
      when v_failed ? (f ->> 'id') then f || jsonb_build_object('state', 'failed', 'error', async.mask_text(v_failed ->> (f ->> 'id')))
      when v_resolved ? (f ->> 'id') then f || jsonb_build_object('receipts', v_resolved -> (f ->> 'id'))
      else f
    end order by place)
    from jsonb_array_elements(in_found) with ordinality as e(f, place));
end
$function$;

-- dblink/helpers/delete_receipts
-- Purpose: runs in the session of the upkeep of the SQL engine: deletes old receipts at a target, in one step
--   (async.old_receipts). A failure is logged.
-- Returns: the number of receipts.
-- Raises: query_canceled when this session itself is canceled.
-- Locks: the rows of async.receipt that it deletes.
create or replace function async.delete_receipts() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_conn constant text := 'pgasync_receipts';
  v_old record;
  v_context text;
  v_conninfo text;
begin
  select o.* into v_old from async.old_receipts(clock_timestamp()) o;
  if not found then
    return 0;
  end if;
  begin
    -- A target that was deleted cannot be reached any more.
    if v_old.connection_string is not null then
      perform async.close_session(c_conn);
      v_conninfo := async.target_conninfo(v_old.target, 'receipts', false, 2);
      perform public.dblink_connect(c_conn, v_conninfo);
      perform async.query_target(c_conn, async.void_settings());
      perform async.query_target(c_conn, v_old.query);
      perform async.close_session(c_conn);
    end if;
    perform async.forget_receipts(v_old.task_ids, v_old.runs);
  exception when query_canceled or assert_failure or others then
    get stacked diagnostics v_context = pg_exception_context;
    perform async.close_session(c_conn);
    if sqlstate = '57014' and strpos(v_context, '"' || c_conn || '"') = 0 then
      raise;
    end if;
    perform async.postpone_receipts();
    perform async.log_quiet('WARNING', format('old receipts at target "%s" cannot be deleted yet: %s: %s', v_old.target,
      sqlstate, async.mask_text(sqlerrm)));
    return 0;
  end;
  return cardinality(v_old.runs);
end
$function$;

-- dblink/helpers/fence_sessions
-- Purpose: performs a fence over an open connection, and resolves the receipts of the sessions that are gone. A
--   session whose receipts cannot be resolved is not gone.
-- Returns: the result for each session, as async.end_sessions.
-- Raises: PA210; 42501 when this role may not see the start of a backend with the pid of a
--   registered session; the errors of the target.
-- Locks: none.
create or replace function async.fence_sessions(in_conn text, in_ids bigint[], in_conninfo jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_checks_max constant int := 50;
  v_many_hosts constant bool := strpos(coalesce(in_conninfo ->> 'hostaddr', in_conninfo ->> 'host', ''), ',') > 0;
  v_moved constant bigint := async.last_moved_epoch();
  v_server record;
  v_there async.session[];
  v_here bigint[];
  v_found jsonb;
begin
  v_server := async.read_identity(async.query_target(in_conn, async.identity_query()));
  perform async.refuse_unknown_sessions(in_conn);
  select coalesce(array_agg(s.session) filter (where s.registered_there), '{}'),
    coalesce(jsonb_agg(jsonb_build_object('id', (s.session).session_id, 'state', case when s.replaced then 'gone' else 'unreached' end,
        'error', format('another server answers (%s, started %s): it is unknown whether the session lives on at its own server',
          coalesce(v_server.server_address, 'local'), v_server.server_started)))
      filter (where not s.registered_there), '[]')
  into v_there, v_found
  from (
    select i as session,
      async.is_registered_server(i, v_server.server_started, v_server.system_identifier) as registered_there,
      async.is_replaced(i, v_server.server_started, v_server.server_address, v_server.server_port,
        v_server.system_identifier, v_server.timeline, v_server.writable, v_many_hosts) as replaced
    from async.session i
    where i.session_id = any (in_ids)
  ) s;
  if cardinality(v_there) = 0 then
    return async.add_receipts(in_conn, v_found, v_server.server_started, v_server.system_identifier);
  end if;
  for v_check in 1..c_checks_max loop
    v_here := async.signal_backends(in_conn, v_there, 'pg_terminate_backend', v_moved);
    exit when not exists (
      select from unnest(v_there) s where s.epoch >= v_moved and s.session_id = any (v_here));
    perform pg_sleep(0.1);
  end loop;
  return async.add_receipts(in_conn, v_found || (
    select jsonb_agg(jsonb_build_object('id', s.session_id,
      'state', case
        when s.session_id <> all (v_here) then 'gone'
        when s.epoch < v_moved then 'waiting'
        else 'failed'
      end,
      'error', case when s.epoch >= v_moved then 'it is still there, although it was asked to end' end))
    from unnest(v_there) s), v_server.server_started, v_server.system_identifier);
end
$function$;

-- dblink/helpers/signal_backends
-- Purpose: signals the backends of registered sessions over a connection to their server. Sessions
--   of epochs before in_spared are looked up and not signaled.
-- Returns: the ids of the sessions that exist.
-- Raises: 42501 when the backend of one is hidden from this role; the errors of the target.
-- Locks: none.
create or replace function async.signal_backends(
  in_conn text, in_sessions async.session[], in_function text, in_spared bigint
) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_list text;
  v_answer jsonb;
  v_here bigint[];
  v_hidden int;
begin
  -- This form of a time does not depend on datestyle.
  select string_agg(format('(%s::bigint, %s::int, %L::pg_catalog.timestamptz, %L::pg_catalog.name, %L::boolean)', s.session_id, s.pid,
      to_char(s.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'), s.role,
      coalesce(s.epoch < in_spared, false)), ', '
    order by s.session_id)
  into v_list
  from unnest(in_sessions) s;
  v_answer := async.query_target(in_conn, format(
    'select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(w.id, a.pid, a.backend_start is null, '
    'case when a.backend_start is not null and not w.spared then pg_catalog.%s(a.pid) end)), ''[]'') '
    'from (values %s) as w(id, pid, backend_start, role, spared) join pg_catalog.pg_stat_activity a '
    'on a.pid operator(pg_catalog.=) w.pid and (a.backend_start operator(pg_catalog.=) w.backend_start '
    'or a.backend_start is null and a.usename operator(pg_catalog.=) w.role)',
    in_function, v_list));
  select coalesce(array_agg((r.found ->> 0)::bigint), '{}'), min((r.found ->> 1)::int) filter (where (r.found ->> 2)::bool)
  into v_here, v_hidden
  from jsonb_array_elements(v_answer) as r(found);
  if v_hidden is not null then
    raise exception 'backend % is hidden from this role', v_hidden
      using errcode = '42501', hint = 'It has to be a member of the role that runs it, or of pg_read_all_stats '
        'and pg_signal_backend';
  end if;
  return v_here;
end
$function$;

-- both_engines/note_session_at_self
-- Purpose: notes whether a session with a target is a session of this database itself, as a member
--   of the owner of the schema: its server started when this server did, and its pid is known here.
--   Such a target counts as the server itself. async.check_target refuses pushes to it by what is
--   noted here. The self target needs no note.
-- Returns: whether it is.
-- Raises: nothing.
-- Locks: the row of the target in async.target_at_self.
create or replace function async.note_session_at_self(
  in_target text, in_pid int, in_backend_start timestamptz, in_server_started timestamptz)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_at_self bool := false;
begin
  if in_server_started = pg_postmaster_start_time() then
    -- The statistics may be those of the beginning of the transaction.
    perform pg_stat_clear_snapshot();
    v_at_self := exists (
      select
      from pg_stat_get_activity(in_pid) a
      cross join pg_namespace n
      where n.nspname = 'async'
        and a.datid = (select d.oid from pg_database d where d.datname = current_database())
        -- It is null for a role that may not read it.
        and (a.backend_start = in_backend_start or a.backend_start is null)
        and pg_has_role(a.usesysid, n.nspowner, 'member'));
  end if;
  if v_at_self then
    insert into async.target_at_self as s (target, connection_string)
    select t.target, t.connection_string
    from async.target t
    cross join async.control c
    where t.target = in_target and t.target <> c.self_target and t.connection_string is not null
    on conflict (target) do update set connection_string = excluded.connection_string, noticed = excluded.noticed
    where s.connection_string <> excluded.connection_string;
  else
    delete from async.target_at_self s where s.target = in_target;
  end if;
  return v_at_self;
end
$function$;

-- both_engines/unregister_sessions
-- Purpose: removes sessions that are gone from the registry. A session with the receipt of a run that is not
--   recorded stays, so that the next leader finds the server of the receipt, until the upkeep removes it.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.session.
create or replace function async.unregister_sessions(in_sessions bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.session s
  where s.session_id = any (in_sessions)
    and not exists (
      select from async.receipt r
      join async.task t on t.task_id = r.task_id and t.run = r.run
      where r.session_id = s.session_id
        and t.processed is null and t.yielded is null and t.consumed is not null);
  update async.session s set settled = true where s.session_id = any (in_sessions) and not s.settled;
end
$function$;

-- dblink/sessions/register_session
-- Purpose: registers a new session with the identity that it reported. A launch mark may name it
--   from the commit on. A session without a valid identity is dropped, and counts as a failure of
--   its target.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the target's row of async.target_at_self.
create or replace function async.register_session(in_worker int, in_identity text, in_error text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_error text := in_error;
  v_identity record;
  v_worker record;
  v_id bigint;
begin
  select s.target, s.conninfo into v_worker from pg_temp.leader_worker s where s.worker = in_worker;
  if v_error is null then
    begin
      select * into v_identity from async.read_identity(in_identity);
      insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start,
        server_started, server_address, server_port, system_identifier, timeline, at_self)
      select l.epoch, in_worker, v_worker.target,
        -- The encoding belongs to this session alone.
        async.extend_conninfo(v_worker.conninfo, '{"client_encoding": null}'),
        v_identity.role, v_identity.pid, v_identity.backend_start, v_identity.server_started,
        v_identity.server_address, v_identity.server_port, v_identity.system_identifier, v_identity.timeline,
        async.note_session_at_self(
          v_worker.target, v_identity.pid, v_identity.backend_start, v_identity.server_started)
      from pg_temp.leader_state l
      returning session_id into v_id;
    exception when others then
      v_error := sqlerrm;
    end;
  end if;
  if v_error is not null then
    perform async.drop_session(in_worker);
    perform async.note_session_failure(v_worker.target, v_error);
    return;
  end if;
  update pg_temp.leader_worker s
  set state = 'idle', session_id = v_id, dblink_schema = v_identity.dblink_schema, since = clock_timestamp()
  where s.worker = in_worker;
  update pg_temp.leader_target t set version = v_identity.version, identified = true, met_at = clock_timestamp()
  where t.target = v_worker.target;
  perform async.note_session_opened(v_worker.target);
end
$function$;

-- dblink/sessions/note_target_failure
-- Purpose: marks a target as down: its tasks wait, and a helper probes it again after a backoff.
--   Without a task the backoff does not grow, so the next task is not made to wait for it.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_target_failure(in_target text, in_error text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_first constant interval := '500 milliseconds';
  c_last constant interval := '10 seconds';
  v_failures int;
  v_wanted bool;
begin
  v_wanted := exists (select from pg_temp.leader_lane l where l.target = in_target and not l.pullable);
  update pg_temp.leader_target t
  set health = 'down', fresh = false, failures = t.failures + 1, last_error = in_error, wanted = 0,
      down_since = coalesce(t.down_since, clock_timestamp()),
      retry_at = clock_timestamp()
        + case when v_wanted then async.backoff(t.failures + 1, c_first, c_last, random()) else c_first end
  -- A further failure of a target that is down (a fence, another session) is not another attempt.
  where t.target = in_target and not (t.health = 'down' and t.retry_at > clock_timestamp())
  returning t.failures into v_failures;
  if v_failures = 1 then
    perform async.log_quiet('WARNING', format('target "%s" is lost: %s', in_target, in_error));
  end if;
end
$function$;

-- dblink/sessions/lose_session
-- Purpose: marks the session of a worker as lost while its query ran. The worker stays taken until
--   a second connection has seen that the session is gone.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lose_session(in_worker int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_worker record;
begin
  update pg_temp.leader_worker s
  set state = 'lost', outcome = 'lost', since = clock_timestamp(),
      error = coalesce(s.error,
        format('outcome unknown: the connection to target "%s" was lost while the query ran', s.target))
  where s.worker = in_worker
  returning s.conn, s.session_id, s.target into v_worker;
  perform async.close_session(v_worker.conn);
  insert into pg_temp.leader_fence (session_id, target) values (v_worker.session_id, v_worker.target)
  on conflict do nothing;
end
$function$;

-- dblink/reap/close_connections_query
-- Purpose: the statement that closes the dblink connections of a session, which DISCARD ALL does not.
--   in_schema is the quoted schema of dblink at the target.
-- Returns: text; null when the target has no dblink.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_connections_query(in_schema text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format(
    'select pg_catalog.count(%1$s.dblink_disconnect(c)) from pg_catalog.unnest(%1$s.dblink_get_connections()) c',
    in_schema)
  where in_schema is not null
$function$;

-- dblink/reap/take_plain_results
-- Purpose: reads the plain answers of sessions in one statement: the success of a wrapped query,
--   whose reset is sent at once, and the end of a reset, after which the connections of dblink are
--   closed where the target has it. Answers with an error are left to async.read_results, which reads
--   their SQLSTATE and context. dblink_error_message shows an error before the result is read.
-- Returns: the workers whose query succeeded, those of them whose reset was sent, the workers whose
--   reset has ended, and the workers whose answers must be read one by one.
-- Raises: nothing.
-- Locks: none.
create or replace function async.take_plain_results(
  in_states text[], out ended int[], out resetting int[], out clean int[], out others int[]
)
language plpgsql
as $function$
declare
  v_partly_read int[];
  v_closing int[];
  v_unexpected int[];
begin
  select
    array_agg(r.worker) filter (where r.found in ('ended', 'resetting')),
    array_agg(r.worker) filter (where r.found = 'resetting'),
    array_agg(r.worker) filter (where r.found = 'clean'),
    array_agg(r.worker) filter (where r.found = 'more'),
    array_agg(r.worker) filter (where r.found = 'partly_read'),
    array_agg(r.worker) filter (where r.found = 'closing'),
    array_agg(r.worker) filter (where r.found = 'unexpected')
  into ended, resetting, clean, others, v_partly_read, v_closing, v_unexpected
  from (
    select s.worker,
      case
        when public.dblink_is_busy(s.conn) = 1 then 'busy'
        when s.state = 'identifying' or s.state = 'running' and (s.sent in ('raw', 'kept') or s.outcome is not null or s.uncertain)
          or coalesce(public.dblink_error_message(s.conn), 'OK') <> 'OK' then 'more'
        when not s.result_read
          and (select count(*) from public.dblink_get_result(s.conn, false) as f(v text)) <> 1 then 'unexpected'
        -- The empty result, which ends the query, may arrive in a later packet.
        when public.dblink_is_busy(s.conn) = 1 then 'partly_read'
        when (select count(*) from public.dblink_get_result(s.conn, false) as f(v text)) <> 0 then 'unexpected'
        when s.state = 'cleaning' and not s.connections_closed and s.dblink_schema is not null
          and public.dblink_send_query(s.conn, async.close_connections_query(s.dblink_schema)) = 1 then 'closing'
        when s.state = 'cleaning' then 'clean'
        when t.session_reset is false then 'ended'
        when public.dblink_send_query(s.conn, 'discard all'::text) = 1 then 'resetting'
        else 'ended'
      end as found
    from pg_temp.leader_worker s
    left join pg_temp.leader_target t on t.target = s.target
    where s.state = any (in_states)
    offset 0
  ) r;
  if v_partly_read is not null then
    update pg_temp.leader_worker s set result_read = true where s.worker = any (v_partly_read);
  end if;
  if v_closing is not null then
    update pg_temp.leader_worker s set connections_closed = true, result_read = false where s.worker = any (v_closing);
  end if;
  -- Not expected, and not recorded as a success. libpq reports a failed write only when the result
  -- is read, so its error may be available now.
  if v_unexpected is not null then
    update pg_temp.leader_worker s
    set outcome = 'lost',
        error = coalesce(
          format('outcome unknown: the connection to target "%s" was lost while the query ran: ', s.target)
            || nullif(btrim(public.dblink_error_message(s.conn), E' \n'), 'OK'),
          'outcome unknown: the target answered with something else than was expected')
    where s.worker = any (v_unexpected) and s.state = 'running' and s.outcome is null;
    others := others || v_unexpected;
  end if;
end
$function$;

-- dblink/reap/note_query_error
-- Purpose: notes the error of a running query with its worker. Distinguishes an end that the target
--   reported from a lost connection, after which the outcome of the query is unknown.
-- Returns: 'error' or 'lost'.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_query_error(in_worker int, in_code text, in_error text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_outcome text := case
    when async.ends_session(in_code) then 'lost' else 'error' end;
begin
  update pg_temp.leader_worker s
  set outcome = v_outcome,
      error = case v_outcome
        when 'error' then in_error
        else async.cut_text(format(
          'outcome unknown: the connection to target "%s" was lost while the query ran: %s', s.target, in_error))
      end
  where s.worker = in_worker;
  return v_outcome;
end
$function$;

-- dblink/reap/note_result
-- Purpose: notes what the target of a running query answered for a task whose rows are kept. An answer
--   that is longer than it can be is not kept in memory any longer.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_result(in_worker int, in_answer text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_worker s
  set result = case when octet_length(in_answer) <= async.answer_bytes_max(c.result_bytes_max) then in_answer
    else format('{"error": "the target answered %s bytes"}', octet_length(in_answer)) end
  from async.control c
  where s.worker = in_worker;
end
$function$;

-- dblink/reap/may_send_more
-- Purpose: notes that the leader has read results of a session and not found their end. libpq keeps in
--   memory what arrives meanwhile, and moves it at each call, so results without end must be given up
--   early. Large results take long as well, but not to receive at the end. The target of a
--   session that is given up has blocked the leader, and shares the account of async.note_blocked_time.
-- Returns: whether the session may send more results. Otherwise it has to be ended.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_send_more(in_worker int, in_results int, in_receiving interval)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_noted constant interval := '1 second';
  v_may bool;
  v_target text;
begin
  update pg_temp.leader_worker s
  set results_left = s.results_left - in_results, receiving_left = s.receiving_left - in_receiving
  where s.worker = in_worker
  returning s.results_left >= 0 and s.receiving_left >= interval '0', s.target into v_may, v_target;
  if not v_may then
    perform async.note_blocked_time(c_noted);
    update pg_temp.leader_target t set reads_slowly = true where t.target = v_target;
  end if;
  return v_may;
end
$function$;

-- dblink/reap/reap_sessions
-- Purpose: polls every session with an outstanding answer, and processes the answers: ends of
--   queries (ok, error, or lost with the connection), ends of resets, and the identity of new
--   sessions. It does not wait.
-- Returns: the number of sessions whose state changed.
-- Raises: nothing because of a single session.
-- Locks: the sessions' rows of async.session.
-- (Longer than a screen: one loop over the states of a session.)
create or replace function async.reap_sessions(in_states text[] default '{identifying,running,cleaning}')
returns int
language plpgsql
as $function$
declare
  v_plain record;
  v_worker record;
  v_read record;
  v_repeat text;
  v_moved int;
begin
  v_plain := async.take_plain_results(in_states);
  v_moved := coalesce(cardinality(v_plain.ended), 0) + coalesce(cardinality(v_plain.clean), 0);
  if v_moved > 0 then
    update pg_temp.leader_worker s
    set state = case when s.state = 'cleaning' then 'idle' else 'ended' end,
        outcome = case when s.state = 'cleaning' then null else 'ok' end,
        cleaning = s.worker = any (coalesce(v_plain.resetting, '{}')),
        result_read = false,
        since = clock_timestamp()
    where s.worker = any (v_plain.ended || v_plain.clean);
  end if;
  if v_plain.others is null then
    return v_moved;
  end if;

  for v_worker in
    select s.worker, s.conn, s.state, s.target, s.sent, s.outcome, s.uncertain, s.cleaning,
      case when not s.connections_closed and s.dblink_schema is not null then
        async.close_connections_query(s.dblink_schema) end as close_connections
    from pg_temp.leader_worker s
    where s.worker = any (v_plain.others)
  loop
    if v_worker.state = 'running' and v_worker.outcome = 'lost' then
      perform async.lose_session(v_worker.worker);
      v_moved := v_moved + 1;
      continue;
    end if;
    v_read := async.read_results(v_worker.conn);
    if not v_read.ended and v_read.results > 0
      and not async.may_send_more(v_worker.worker, v_read.results, v_read.receiving)
    then
      v_read.ended := true;
      if v_read.code is null then
        v_read.code := '08P01';
        v_read.error := '08P01: the target sent more results than the text can have';
      end if;
    end if;
    if v_worker.sent = 'kept' and v_read.value is not null and v_worker.state = 'running' and not v_worker.cleaning then
      perform async.note_result(v_worker.worker, v_read.value);
    end if;
    if v_worker.state = 'running' and v_worker.cleaning then
      v_moved := v_moved
        + async.settle_reset(v_worker.worker, v_read.ended, v_read.code, v_read.error)::int;
      continue;
    end if;
    if v_read.code is not null and v_worker.outcome is null and v_worker.state = 'running' then
      if v_read.code = 'PX001' then
        -- The SQLSTATE of the query is lost.
        v_read.error := regexp_replace(v_read.error, '^PX001: ', '');
      end if;
      v_worker.outcome := async.note_query_error(v_worker.worker, v_read.code, v_read.error);
    end if;
    -- The identity of a new session, and the error of a reset, may arrive before the end of their
    -- query, and do not arrive twice.
    continue when not v_read.ended
      and (v_worker.state = 'running' or v_read.code is null)
      and (v_worker.state <> 'identifying' or v_read.value is null);
    v_moved := v_moved + 1;
    if v_worker.state = 'identifying' then
      perform async.register_session(v_worker.worker, v_read.value, v_read.error);
      if not v_read.ended then
        update pg_temp.leader_worker s set state = 'cleaning' where s.worker = v_worker.worker and s.state = 'idle';
      end if;
    elsif v_worker.state = 'cleaning' then
      if v_read.code is null and v_worker.close_connections is not null
        and public.dblink_send_query(v_worker.conn, v_worker.close_connections) = 1
      then
        update pg_temp.leader_worker s set connections_closed = true, result_read = false where s.worker = v_worker.worker;
      elsif v_read.code is null then
        update pg_temp.leader_worker s set state = 'idle', cleaning = false, result_read = false, since = clock_timestamp()
        where s.worker = v_worker.worker;
      else
        perform async.drop_session(v_worker.worker);
      end if;
    elsif v_worker.outcome is null then
      v_repeat := case when v_worker.uncertain and v_read.value is null then async.repeat_error(v_worker.conn) end;
      -- The text was sent unchanged. If the session accepts a reset now, the text has no further
      -- result. The answer to the reset settles how the text ended.
      if public.dblink_send_query(v_worker.conn, coalesce(v_repeat, 'discard all'::text)) = 1 then
        update pg_temp.leader_worker s set cleaning = v_repeat is null where s.worker = v_worker.worker;
      elsif coalesce(public.dblink_error_message(v_worker.conn), 'OK') = 'OK' then
        v_moved := v_moved - 1;
      elsif v_repeat is not null then
        perform async.note_query_error(v_worker.worker, '08006', public.dblink_error_message(v_worker.conn));
        perform async.lose_session(v_worker.worker);
      else
        perform async.settle_reset(v_worker.worker, true, '08006', public.dblink_error_message(v_worker.conn));
      end if;
    elsif v_worker.outcome = 'lost' then
      perform async.lose_session(v_worker.worker);
    else
      update pg_temp.leader_worker s set state = 'ended', since = clock_timestamp() where s.worker = v_worker.worker;
    end if;
  end loop;
  return v_moved;
end
$function$;

-- dblink/reap/find_broken_sessions
-- Purpose: finds broken sessions that libpq reports as busy although they have an error message:
--   the connection broke, perhaps between an error and the end of the query. The end of the query
--   has 400 ms to arrive.
-- Returns: the number of broken sessions.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.find_broken_sessions()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_end_arrives_within constant interval := '400 milliseconds';
  v_worker record;
  v_found int := 0;
begin
  for v_worker in
    select s.worker, s.state, s.outcome, s.target, s.conn, s.cleaning, s.broken_at
    from pg_temp.leader_worker s
    where case when s.state in ('identifying', 'running', 'cleaning') and public.dblink_is_busy(s.conn) = 1
      then coalesce(public.dblink_error_message(s.conn), 'OK') not in ('OK', '') else false end
  loop
    if v_worker.broken_at is null then
      update pg_temp.leader_worker s set broken_at = clock_timestamp() where s.worker = v_worker.worker;
      continue;
    elsif v_worker.broken_at > clock_timestamp() - c_end_arrives_within then
      continue;
    end if;
    v_found := v_found + 1;
    if v_worker.state <> 'running' then
      perform async.drop_session(v_worker.worker);
    elsif v_worker.cleaning then
      perform async.settle_reset(v_worker.worker, true, '08006', public.dblink_error_message(v_worker.conn));
    else
      if v_worker.outcome is null then
        perform async.note_query_error(v_worker.worker, '08006', public.dblink_error_message(v_worker.conn));
      end if;
      perform async.lose_session(v_worker.worker);
    end if;
  end loop;
  return v_found;
end
$function$;

-- dblink/reap/drop_silent_sessions
-- Purpose: drops sessions whose identity or whose answer to the reset has been missing for long, so
--   that a target that accepts connections and does not answer keeps no workers. The first session of
--   a target is dropped sooner when another target waits for a worker.
-- Returns: the number of sessions.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.drop_silent_sessions()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_answer_max constant interval := '10 seconds';
  c_answer_max_if_others_wait constant interval := '2 seconds';
  v_others_wait constant bool :=
    (select count(*) from pg_temp.leader_worker s where s.state <> 'empty' and not s.unreachable)
      >= (select c.workers from async.control c)
    and exists (select from pg_temp.leader_target t where t.wanted > 0);
  v_worker record;
  v_dropped int := 0;
begin
  for v_worker in
    select s.worker, s.target
    from pg_temp.leader_worker s
    left join pg_temp.leader_target t on t.target = s.target
    where s.state in ('identifying', 'cleaning')
      and s.since < clock_timestamp() - case when v_others_wait and s.state = 'identifying' and t.identified is not true
        then c_answer_max_if_others_wait else c_answer_max end
    order by s.worker
  loop
    perform async.drop_session(v_worker.worker);
    perform async.note_session_failure(v_worker.target, 'it accepted the connection and did not answer');
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end
$function$;

-- dblink/reap/recover_interrupted_stage
-- Purpose: restores the memory and the sessions after an interrupted stage. The changes of the
--   stage to the memory are rolled back, its calls on connections are not. Results that it read are
--   lost: the end of a running query becomes uncertain, and other sessions are opened anew. A
--   worker whose connection the stage closed has none.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.recover_interrupted_stage(in_stage text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_open constant text[] := coalesce(public.dblink_get_connections(), '{}');
begin
  if in_stage = 'reap' then
    update pg_temp.leader_worker s set uncertain = true where s.state = 'running';
    perform async.drop_session(s.worker)
    from pg_temp.leader_worker s where s.state in ('identifying', 'cleaning');
  elsif in_stage = 'poll' then
    perform set_config('pgasync.polled', '', false);
  elsif in_stage = 'helpers' then
    perform async.close_session(h.conn) from pg_temp.leader_helper h;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null, replaced = false;
    update pg_temp.leader_fence f set retry_at = clock_timestamp() where f.retry_at = 'infinity';
    update pg_temp.leader_target t set health = 'unknown' where t.health = 'probing';
  end if;
  perform async.lose_session(s.worker)
  from pg_temp.leader_worker s where s.state = 'running' and s.conn <> all (v_open);
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state in ('identifying', 'idle', 'cleaning') and s.conn <> all (v_open);
end
$function$;

-- dblink/reap/recover_interrupted_cycle
-- Purpose: restores the memory and the sessions after a cycle that was rolled back. What its stages
--   read from sessions may be lost.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.recover_interrupted_cycle()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('pgasync.polled', '', false);
  update pg_temp.leader_worker s set uncertain = true where s.state = 'running';
  begin
    perform async.recover_interrupted_stage('reap');
    perform async.recover_interrupted_stage('helpers');
  exception when assert_failure or others then
    null;
  end;
end
$function$;

-- dblink/reap/recover_interrupted_launches
-- Purpose: finds out from the sessions which claimed tasks were sent before the interruption. The
--   others stay claimed.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none. It waits for async.task as long as another session locks the table: that lock may be the
--   reason of the interruption, and an error here would end main() and lose what it runs.
create or replace function async.recover_interrupted_launches()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = 0
as $function$
declare
  v_worker record;
  v_read record;
begin
  for v_worker in
    select s.worker, s.conn, case when t.keep_result_for is not null then 'kept' else 'raw' end as kind
    from pg_temp.leader_worker s
    left join async.task t on t.task_id = s.task_id
    where s.state = 'claimed'
    order by s.worker
  loop
    if public.dblink_is_busy(v_worker.conn) = 1 then
      update pg_temp.leader_worker s set state = 'running', sent = v_worker.kind, since = clock_timestamp()
      where s.worker = v_worker.worker;
      continue;
    end if;
    v_read := async.read_results(v_worker.conn);
    if v_read.code is not null or v_read.value is not null then
      update pg_temp.leader_worker s set state = 'running', sent = v_worker.kind, since = clock_timestamp()
      where s.worker = v_worker.worker;
    end if;
    if v_read.code is not null then
      perform async.note_query_error(v_worker.worker, v_read.code, v_read.error);
    end if;
  end loop;
end
$function$;

-- dblink/reap/settle_reset
-- Purpose: settles how a text that was sent unchanged ended, by the answer to the reset behind it:
--   it left its transaction open (25001); its outcome is unknown, because the connection was lost
--   and the text may have left a transaction open; or it succeeded. After any answer except a plain
--   success the session is not used again. Where the target has dblink, the query that closes its
--   connections is sent now.
-- Returns: whether the end is settled.
-- Raises: nothing.
-- Locks: none.
create or replace function async.settle_reset(in_worker int, in_ended bool, in_code text, in_error text)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_worker record;
  v_closing bool := false;
begin
  if not in_ended and in_code is null then
    return false;
  end if;
  select s.uncertain, s.conn, t.query, t.receipt, async.close_connections_query(s.dblink_schema) as close_connections into v_worker
  from pg_temp.leader_worker s left join async.task t on t.task_id = s.task_id
  where s.worker = in_worker;
  if (v_worker.uncertain or async.ends_session(in_code))
    and (v_worker.receipt or async.opens_transaction(v_worker.query))
  then
    perform async.note_query_error(in_worker, '08006', coalesce(in_error, 'the orchestrator was interrupted'));
    perform async.lose_session(in_worker);
    return true;
  end if;
  if in_code is null and not v_worker.uncertain and v_worker.close_connections is not null then
    v_closing := public.dblink_send_query(v_worker.conn, v_worker.close_connections) = 1;
  end if;
  update pg_temp.leader_worker s
  set state = 'ended', cleaning = v_closing, connections_closed = v_closing, result_read = false, since = clock_timestamp(),
      spent = s.spent or in_code is not null or v_worker.uncertain,
      outcome = case when in_code = '25001' then 'error' else 'ok' end,
      error = case when in_code = '25001'
        then 'the query left its transaction open: what it did was rolled back' end
  where s.worker = in_worker;
  return true;
end
$function$;

-- dblink/reap/repeat_error
-- Purpose: builds a statement that raises the error of a query again, after the stage that read the
--   result was rolled back. libpq keeps the text of an error, without its SQLSTATE, until the next
--   query is sent. The text shows whether the query failed. The statement proves that the session
--   survived the error, and keeps the text.
-- Returns: the statement; null when the query did not fail.
-- Raises: nothing.
-- Locks: none.
create or replace function async.repeat_error(in_conn text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_text text := async.valid_text(public.dblink_error_message(in_conn));
begin
  if coalesce(v_text, 'OK') = 'OK' then
    return null;
  end if;
  v_text := regexp_replace(btrim(v_text, E' \n'), E'^[^:\\n]*: +', '');
  -- The context lines of the wrapper around the query.
  v_text := regexp_replace(v_text, E'\\n(CONTEXT:  )?PL/pgSQL function inline_code_block line 1 at [^\\n]*', '', 'g');
  return format('do %L', format('begin raise exception using errcode = ''PX001'', message = %L; end',
    async.cut_text(v_text)));
end
$function$;

-- dblink/sessions/send_query
-- Purpose: sends the text of a launch, and notes the time for which that blocked the leader. A session
--   whose send fails is lost, because a part of the text may have arrived.
-- Returns: 'sent', 'slow' (sent, and it took long), 'unread' (the target did not read, and the session
--   is lost), or 'broken' (the session is lost).
-- Raises: nothing.
-- Locks: none.
create or replace function async.send_query(in_worker int, in_conn text, in_target text, in_text text)
returns text
language plpgsql
as $function$
declare
  -- The buffers of a socket accept a shorter text even if the target does not read.
  c_long_text_bytes constant int := 65536;
  c_prefix_chars constant int := 32768;
  v_began constant timestamptz := clock_timestamp();
  v_sent bool;
  v_slow bool;
begin
  begin
    v_sent := public.dblink_send_query(in_conn, in_text) = 1;
  exception when others then
    v_sent := false;
  end;
  v_slow := async.note_blocked_time(clock_timestamp() - v_began);
  if v_slow or octet_length(in_text) > c_long_text_bytes then
    update pg_temp.leader_target t set reads_slowly = v_slow where t.target = in_target and t.reads_slowly <> v_slow;
  end if;
  if v_sent then
    -- The session was opened before its target had dblink, so the schema of dblink is unknown.
    if strpos(lower(left(in_text, c_prefix_chars)), 'dblink') > 0 then
      update pg_temp.leader_worker s set spent = true where s.worker = in_worker and s.dblink_schema is null;
    end if;
    return case when v_slow then 'slow' else 'sent' end;
  end if;
  perform async.lose_session(in_worker);
  if v_slow then
    perform async.note_session_failure(in_target, 'it does not read what is sent to it');
    return 'unread';
  end if;
  return 'broken';
end
$function$;

-- dblink/sessions/send_short_queries
-- Purpose: sends short texts of launches in one statement, and notes the time for which that blocked the
--   leader. A session whose send fails is lost, because a part of the text may have arrived.
-- Returns: the workers whose sessions are lost; null when there are none.
-- Raises: nothing because of a single session.
-- Locks: none.
create or replace function async.send_short_queries(
  in_workers int[], in_conns text[], in_targets text[], in_texts text[]
) returns int[]
language plpgsql
as $function$
declare
  v_open constant text[] := public.dblink_get_connections();
  v_lost int[];
  v_took interval;
  v_slow text[];
begin
  select array_agg(r.worker) filter (where r.sent <> 1), max(r.took),
    array_agg(r.target) filter (where r.sent <> 1 and r.took > interval '200 milliseconds')
  into v_lost, v_took, v_slow
  from (
    select e.worker, e.target, e.sent, clock_timestamp() - e.began as took
    from (
      select i.worker, i.target, clock_timestamp() as began,
        -- A routine may have closed the connection.
        case when i.conn = any (v_open) then public.dblink_send_query(i.conn, i.query) else 0 end as sent
      from unnest(in_workers, in_conns, in_targets, in_texts) as i(worker, conn, target, query)
      offset 0
    ) e
    offset 0
  ) r;
  perform async.note_blocked_time(v_took);
  if v_lost is not null then
    perform async.lose_session(l) from unnest(v_lost) l;
    perform async.note_session_failure(t, 'it does not read what is sent to it') from unnest(v_slow) t;
  end if;
  return v_lost;
end
$function$;

-- dblink/sessions/send_launches
-- Purpose: sends the queries of claimed and marked tasks, each on the session that its mark names: short
--   texts in one statement, and then each long text (async.send_query). The send of a long text blocks
--   while its target does not read, so the other long texts of a target that blocked the leader are
--   given back, and wait until that time is compensated (see async.note_blocked_time).
-- Returns: the number of queries that were sent.
-- Raises: nothing because of a single session.
-- Locks: none.
-- (Longer than a screen: one loop over the launches.)
create or replace function async.send_launches()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  c_query_bytes_max constant int := async.query_bytes_max();
  -- The buffers of a socket accept a shorter text even if the target does not read.
  c_short_text_bytes_max constant int := 65536;
  -- A text has fewer results than bytes, except those of rules.
  c_results_of_rules_max constant int := 100;
  c_receiving_max constant interval := '1 second';
  c_receiving_for_a_byte_max constant interval := '10 microseconds';
  v_launch record;
  v_receipt record;
  v_query text;
  v_kind text;
  v_text text;
  v_names_itself bool;
  v_result text;
  v_short int[] := '{}';
  v_short_conns text[] := '{}';
  v_short_targets text[] := '{}';
  v_short_texts text[] := '{}';
  v_workers int[] := '{}';
  v_kinds text[] := '{}';
  v_bytes int[] := '{}';
  v_slow text[] := '{}';
  v_lost int[];
begin
  for v_launch in
    -- A query that is too long is not read.
    select s.worker, s.conn, s.target, s.task_id, octet_length(t.query) as bytes,
      case when octet_length(t.query) <= c_query_bytes_max then t.query end as query,
      t.keep_result_for is not null as keeps, t.receipt, s.run,
      t.may_reach_self is false
        and exists (select from async.session a where a.session_id = s.session_id and a.at_self) as not_granted
    from pg_temp.leader_worker s
    left join async.task t on t.task_id = s.task_id
    where s.state = 'claimed'
    order by s.worker
  loop
    if v_launch.query is null or v_launch.not_granted then
      v_kind := 'refused';
      v_query := null;
    elsif v_launch.receipt then
      select r.* into v_receipt from async.receipt r where r.task_id = v_launch.task_id and r.run = v_launch.run;
      if not found then
        -- It is noted with the next mark.
        update pg_temp.leader_state set receipts = true where not receipts;
        update pg_temp.leader_worker s set state = 'ended', outcome = 'unsent', sent = null, since = clock_timestamp()
        where s.worker = v_launch.worker;
        continue;
      end if;
      v_kind := case when v_launch.keeps then 'kept' else 'raw' end;
      v_query := null;
      v_names_itself := false;
      v_text := replace(async.receipt_query(v_launch.query, v_receipt.server_id, v_receipt.election, v_launch.task_id,
          v_launch.run, case when v_launch.keeps then (select c.result_bytes_max from async.control c) end),
        '##flow.TASK_ID##', v_launch.task_id::text);
    elsif v_launch.keeps then
      v_kind := 'kept';
      v_query := null;
      v_names_itself := false;
      v_text := replace(async.keep_query(v_launch.query, (select c.result_bytes_max from async.control c)),
        '##flow.TASK_ID##', v_launch.task_id::text);
    -- Many tasks have the same text.
    elsif v_query is distinct from v_launch.query then
      v_query := v_launch.query;
      v_kind := async.classify_query(v_query);
      v_names_itself := strpos(v_query, '##flow.TASK_ID##') > 0;
      if v_kind <> 'refused' and not v_names_itself then
        v_text := async.wrap_query(v_query, v_kind);
      end if;
    end if;
    if v_kind = 'refused' then
      update pg_temp.leader_worker s
      set state = 'ended', outcome = 'error', sent = null, since = clock_timestamp(),
          error = coalesce(async.refuse_query(v_launch.bytes),
            case when v_launch.not_granted then 'PA082: the target leads to the server itself as its owner, and the task '
              'was pushed without a grant on SELF' end,
            'PA205: COPY from STDIN or to STDOUT has no client to talk to here; use a file, or insert ... select')
      where s.worker = v_launch.worker;
      continue;
    end if;
    if v_names_itself then
      v_text := async.wrap_query(replace(v_query, '##flow.TASK_ID##', v_launch.task_id::text), v_kind);
    end if;
    if octet_length(v_text) <= c_short_text_bytes_max then
      v_short := v_short || v_launch.worker;
      v_short_conns := v_short_conns || v_launch.conn;
      v_short_targets := v_short_targets || v_launch.target;
      v_short_texts := v_short_texts || v_text;
    elsif v_launch.target = any (v_slow) then
      update pg_temp.leader_worker s set state = 'ended', outcome = 'unsent', sent = null, since = clock_timestamp()
      where s.worker = v_launch.worker;
      continue;
    else
      v_result := async.send_query(v_launch.worker, v_launch.conn, v_launch.target, v_text);
      if v_result in ('slow', 'unread') then
        v_slow := v_slow || v_launch.target;
      end if;
      continue when v_result not in ('sent', 'slow');
    end if;
    v_workers := v_workers || v_launch.worker;
    v_kinds := v_kinds || v_kind;
    v_bytes := v_bytes || v_launch.bytes;
  end loop;
  if v_short <> '{}' then
    v_lost := async.send_short_queries(v_short, v_short_conns, v_short_targets, v_short_texts);
  end if;
  update pg_temp.leader_worker s
  set state = 'running', since = clock_timestamp(), sent = n.kind,
      results_left = c_results_of_rules_max + n.bytes,
      receiving_left = c_receiving_max + c_receiving_for_a_byte_max * n.bytes,
      -- The session was opened before its target had dblink, so the schema of dblink is unknown.
      spent = s.spent or s.dblink_schema is null and n.uses_dblink,
      connections_closed = false
  from (
    select i.worker, i.kind, i.bytes,
      coalesce(strpos(lower(v_short_texts[array_position(v_short, i.worker)]), 'dblink') > 0, false) as uses_dblink
    from unnest(v_workers, v_kinds, v_bytes) as i(worker, kind, bytes)
  ) n
  where s.worker = n.worker and (v_lost is null or s.worker <> all (v_lost));
  if (select l.limits_starts from pg_temp.leader_state l) then
    update pg_temp.leader_pool p set started_at = clock_timestamp()
    where p.spacing is not null
      and p.pool in (select s.pool from pg_temp.leader_worker s where s.worker = any (v_workers));
  end if;
  return cardinality(v_workers) - coalesce(cardinality(v_lost), 0);
end
$function$;

-- dblink/sessions/open_wanted_sessions
-- Purpose: opens sessions at targets whose tasks wait for one, at most four in a cycle, so that
--   running queries are polled often enough, and none after one that took long. Empty workers get them
--   first, then the worker with the longest idle session of another target. A target whose last
--   session took long waits until that time is compensated (see async.note_blocked_time).
-- Returns: the number of sessions.
-- Raises: nothing because of a single target.
-- Locks: the rows of async.session of the sessions that it drops.
create or replace function async.open_wanted_sessions()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_opens_per_cycle_max constant int := 4;
  v_want record;
  v_worker record;
  v_address text;
  v_conninfo text;
  v_began timestamptz;
  v_slow bool;
  v_error text;
  v_opened int := 0;
  v_watched constant bool := current_setting('server_version_num')::int >= 160000;
begin
  for v_want in
    select t.target, t.version, t.startup_options, t.session_failures,
      -- The first session of a target identifies itself before others are opened, so a target that
      -- does not answer takes one worker.
      least(case when t.identified then t.wanted else 1 end - n.coming, t.max_sessions - n.sessions) as missing
    from pg_temp.leader_target t
    cross join lateral (
      select count(*) as sessions, count(*) filter (where s.state in ('identifying', 'cleaning')) as coming
      from pg_temp.leader_worker s
      where s.target = t.target and s.state <> 'empty'
    ) n
    where t.wanted > 0 and t.health = 'ok'
      and (not t.connects_slowly or async.may_block_again(clock_timestamp()))
    order by t.met_at, t.target
  loop
    continue when v_want.session_failures > 0 and not async.may_identify_more();
    for v_session in 1..v_want.missing loop
      exit when v_opened >= c_opens_per_cycle_max;
      select s.worker, s.conn, s.state into v_worker
      from pg_temp.leader_worker s
      -- A worker with a lost session at an unreachable host holds no connection.
      where s.state = 'empty' and (
          select count(*) < (select c.workers from async.control c)
          from pg_temp.leader_worker o where o.state <> 'empty' and not o.unreachable)
        or s.state = 'idle' and s.target <> v_want.target
      order by s.state = 'idle', s.since, s.worker
      limit 1;
      exit when not found;
      if v_worker.state = 'idle' then
        perform async.drop_session(v_worker.worker);
      end if;
      perform async.close_session(v_worker.conn);
      -- Read first: if it changes in between, the session counts as one at an old address.
      v_address := (select t.connection_string from async.target t where t.target = v_want.target);
      v_conninfo := async.target_conninfo(
        v_want.target, v_worker.worker::text, v_want.version >= 140000 and v_want.startup_options, 2);
      v_began := clock_timestamp();
      v_error := async.open_session(v_worker.conn, v_conninfo, v_watched);
      v_opened := v_opened + 1;
      v_slow := async.note_blocked_time(clock_timestamp() - v_began);
      update pg_temp.leader_target t set connects_slowly = v_slow
      where t.target = v_want.target and t.connects_slowly <> v_slow;
      if v_error is not null then
        -- A proxy may refuse startup options, so the next attempt goes without them.
        if v_want.startup_options and v_want.version >= 140000 and not v_slow then
          update pg_temp.leader_target t set startup_options = false where t.target = v_want.target;
        else
          perform async.note_session_failure(v_want.target, v_error);
        end if;
        exit;
      end if;
      perform public.dblink_send_query(v_worker.conn, async.identity_query());
      update pg_temp.leader_worker s
      set state = 'identifying', target = v_want.target, conninfo = v_conninfo, address = v_address,
        results_left = default, receiving_left = default, since = clock_timestamp()
      where s.worker = v_worker.worker;
      exit when v_slow;
    end loop;
    exit when v_slow;
  end loop;
  return v_opened;
end
$function$;

-- dblink/sessions/session_is_alive
-- Purpose: whether an idle connection is still open. A close by the other side arrives by itself,
--   so the check needs no round trip.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.session_is_alive(in_conn text)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    -- The first call may read only the last message of a terminated backend, the second one the end
    -- of the connection.
    select public.dblink_is_busy(in_conn) + public.dblink_is_busy(in_conn) = 0
      and coalesce(public.dblink_error_message(in_conn), 'OK') = 'OK');
end
$function$;

-- dblink/sessions/drain_notifications
-- Purpose: takes the notifications that have arrived in the watchdog session, which listens for
--   those of async.wake_leader. Needs no round trip.
-- Returns: their number.
-- Raises: nothing.
-- Locks: none.
create or replace function async.drain_notifications()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if 'pgasync_watchdog' = any (coalesce(public.dblink_get_connections(), '{}')) then
    return (select count(*)::int from public.dblink_get_notify('pgasync_watchdog'::text));
  end if;
  return 0;
end
$function$;

-- dblink/sessions/heed_notifications
-- Purpose: a stage of a cycle before all that reads: takes the notifications that came while the
--   leader works. When they come in numbers, it states that the leader is awake: notifications make
--   pushes more expensive than the cycles of a leader that works anyway.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: as async.set_asleep.
create or replace function async.heed_notifications()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_notifications_max constant int := 8;
begin
  if async.drain_notifications() >= c_notifications_max then
    perform async.set_asleep(l.epoch, false) from pg_temp.leader_state l;
  end if;
end
$function$;

-- dblink/sessions/sleep_until
-- Purpose: the sleep of a leader without work. First it falls asleep, so that pushes and requests
--   notify the watchdog session, and lets a cycle poll. While transactions are open that may have
--   found it awake, it sleeps briefly between the polls; after their end it polls once more. Only
--   then it sleeps until in_until, or until a notification arrives. The session setting
--   pgasync.writers has the transaction id below which those transactions are, or 'ended'; empty:
--   unknown.
-- Returns: whether the sleep goes on without a poll (it is interrupted twice a second, so that this
--   function holds no snapshot for long), and whether a notification has ended it.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: as async.fall_asleep.
-- (Longer than a screen: the states of the sleep, in order.)
create or replace function async.sleep_until(in_until timestamptz, out out_sleeps bool, out out_woken bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause constant float8 := 0.02;
  c_slice constant interval := '500 milliseconds';
  c_between_polls_max constant interval := '250 milliseconds';
  v_now constant timestamptz := clock_timestamp();
  v_until timestamptz := in_until;
  v_writers text := coalesce(current_setting('pgasync.writers', true), '');
  v_since interval;
  v_error text;
  v_slept record;
  v_awake bool;
begin
  out_sleeps := false;
  out_woken := false;
  if not async.session_is_alive('pgasync_watchdog') then
    v_error := async.open_watchdog();
    if v_error is not null then
      perform async.note_failure('listen', v_error, '08006');
      perform pg_sleep(extract(epoch from least(c_slice, in_until - v_now))::float8);
    end if;
    -- Notifications may have been lost.
    return;
  end if;
  -- The poll failed.
  if coalesce(current_setting('pgasync.polled', true), '') = '' then
    perform pg_sleep(c_pause);
    return;
  end if;

  if v_writers = '' or (select s.last_value = 0 from async.leader_sleep s) then
    select f.* into v_slept from pg_temp.leader_state l cross join lateral async.fall_asleep(l.epoch) f;
    if v_slept.out_before is null then
      perform pg_sleep(extract(epoch from least(c_slice, in_until - v_now))::float8);
      return;
    end if;
    perform set_config('pgasync.writers',
      case when v_slept.out_open then v_slept.out_before::text else 'ended' end, false);
    perform async.note_done('fell_asleep', v_now);
    return;
  end if;
  if v_writers <> 'ended' then
    if not async.writers_are_open(v_writers::bigint) then
      perform set_config('pgasync.writers', 'ended', false);
      return;
    end if;
    -- A transaction that is open for long is waited for in longer pauses.
    v_since := v_now - to_timestamp(current_setting('pgasync.fell_asleep')::float8);
    v_until := least(v_until, v_now + least(v_since / 2, c_between_polls_max));
  end if;

  v_until := least(v_until, v_now + c_slice);
  -- One statement and one sleep for each look: an idle leader is to use little CPU.
  for v_look in 1..greatest(ceil(extract(epoch from v_until - v_now) / c_pause)::int, 1) loop
    -- An expression, which needs no executor.
    v_awake := pg_sleep(c_pause) is not null;
    perform from public.dblink_get_notify('pgasync_watchdog'::text);
    if found then
      -- It may tell of a changed configuration.
      perform set_config('pgasync.' || w, '', false) from unnest('{configured,checked_targets}'::text[]) w;
      out_woken := true;
      return;
    end if;
  end loop;
  out_sleeps := v_writers = 'ended' and v_until < in_until;
  if v_writers = 'ended' then
    perform set_config('pgasync.idle', 'on', false);
  end if;
end
$function$;

-- dblink/sessions/await_work
-- Purpose: sleeps after a cycle without work, for twice the time from the last work to in_began.
--   While queries run, it polls their sessions every millisecond and returns when one has an
--   answer, after busy_sleep at the latest. While none runs, it sleeps for up to idle_sleep, or until a
--   schedule fires or a pool that limits its starts may start its next task, and a notification ends the
--   sleep (async.sleep_until).
-- Returns: whether the sleep goes on (the caller commits, and calls it again with the same times),
--   and whether a notification has ended it.
-- Raises: as async.sleep_until.
-- Locks: as async.sleep_until.
create or replace function async.await_work(
  in_last_did_stuff timestamptz, in_began timestamptz, out out_sleeps bool, out out_woken bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- A shorter sleep is not worth the writes and the second poll of falling asleep.
  c_nap constant interval := '40 milliseconds';
  v_control async.control;
  v_sleep interval := 2 * (in_began - in_last_did_stuff);
  v_conns text[];
begin
  out_sleeps := false;
  out_woken := false;
  select c.* into v_control from async.control c;
  v_conns := array(
    select s.conn from pg_temp.leader_worker s where s.state in ('running', 'cleaning', 'identifying')
    union all
    select h.conn from pg_temp.leader_helper h where h.state = 'busy');
  if cardinality(v_conns) = 0 then
    v_sleep := least(v_sleep, v_control.idle_sleep * interval '1 second');
    v_sleep := least(v_sleep, async.firing_time() - in_began);
    if (select s.limits_starts from pg_temp.leader_state s) then
      v_sleep := least(v_sleep, (
        select min(p.started_at + p.spacing)
        from pg_temp.leader_pool p
        where p.spacing is not null and p.started_at + p.spacing > in_began
          and exists (select from pg_temp.leader_lane l where l.pool = p.pool and not l.exhausted)) - in_began);
    end if;
    if v_sleep >= c_nap then
      select s.out_sleeps, s.out_woken into out_sleeps, out_woken from async.sleep_until(in_began + v_sleep) s;
    else
      perform pg_sleep(greatest(0.001, extract(epoch from v_sleep)::float8));
    end if;
    return;
  end if;
  v_sleep := least(v_sleep, v_control.busy_sleep * interval '1 second');
  loop
    perform pg_sleep(0.001);
    exit when clock_timestamp() >= in_began + v_sleep
      or exists (select from unnest(v_conns) c where public.dblink_is_busy(c) = 0);
  end loop;
end
$function$;

-- dblink/sessions/find_idle_sessions
-- Purpose: the sessions that can take a query now: idle ones, and those whose
--   reset has ended meanwhile. A session whose connection was closed is dropped. A close by the
--   other side arrives by itself, so the check needs no round trip.
-- Returns: parallel arrays of workers and their targets, the most recently used first.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.find_idle_sessions(out workers int[], out targets text[])
language plpgsql
as $function$
declare
  v_clean int[];
  v_partly_read int[];
  v_closing int[];
  v_dead int[];
begin
  select
    array_agg(f.worker order by f.since desc, f.worker) filter (where f.found in ('idle', 'clean')),
    array_agg(f.target order by f.since desc, f.worker) filter (where f.found in ('idle', 'clean')),
    array_agg(f.worker) filter (where f.found = 'clean'),
    array_agg(f.worker) filter (where f.found = 'partly_read'),
    array_agg(f.worker) filter (where f.found = 'closing'),
    array_agg(f.worker) filter (where f.found = 'dead')
  into workers, targets, v_clean, v_partly_read, v_closing, v_dead
  from (
    select s.worker, s.target, s.since,
      case
        when s.state = 'idle' then
          -- The first call may read only the last message of a terminated backend, the second one
          -- the end of the connection.
          case when public.dblink_is_busy(s.conn) + public.dblink_is_busy(s.conn) > 0
              or coalesce(public.dblink_error_message(s.conn), 'OK') <> 'OK'
            then 'dead' else 'idle' end
        when public.dblink_is_busy(s.conn) = 1 or coalesce(public.dblink_error_message(s.conn), 'OK') <> 'OK' then 'wait'
        when not s.result_read
          and (select count(*) from public.dblink_get_result(s.conn, false) as r(v text)) <> 1 then 'dead'
        -- The empty result, which ends the reset, may arrive in a later packet.
        when public.dblink_is_busy(s.conn) = 1 then 'partly_read'
        when (select count(*) from public.dblink_get_result(s.conn, false) as r(v text)) <> 0 then 'dead'
        when not s.connections_closed and s.dblink_schema is not null
          and public.dblink_send_query(s.conn, async.close_connections_query(s.dblink_schema)) = 1 then 'closing'
        else 'clean'
      end as found
    from pg_temp.leader_worker s
    where s.state in ('idle', 'cleaning')
    offset 0
  ) f;
  if v_clean is not null then
    update pg_temp.leader_worker s set state = 'idle', cleaning = false, result_read = false
    where s.worker = any (v_clean);
  end if;
  if v_partly_read is not null then
    update pg_temp.leader_worker s set result_read = true where s.worker = any (v_partly_read);
  end if;
  if v_closing is not null then
    update pg_temp.leader_worker s set connections_closed = true, result_read = false where s.worker = any (v_closing);
  end if;
  if v_dead is not null then
    perform async.drop_session(d) from unnest(v_dead) d;
  end if;
end
$function$;

-- dblink/helpers/open_helper
-- Purpose: connects a helper to this server itself.
-- Returns: whether the helper is connected.
-- Raises: nothing.
-- Locks: none.
create or replace function async.open_helper(in_helper int)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conn text := 'pgasync_helper_' || in_helper;
  v_error text;
  v_pid int;
begin
  perform async.close_session(v_conn);
  v_error := async.open_session(v_conn, (select l.self_conninfo from pg_temp.leader_state l), false);
  if v_error is not null then
    perform async.log_quiet('WARNING', 'no helper session to this server itself: ' || v_error);
    return false;
  end if;
  select r.pid into v_pid from public.dblink(v_conn, 'select pg_catalog.pg_backend_pid()'::text) as r(pid int);
  update pg_temp.leader_helper h set state = 'idle', pid = v_pid, op = null, since = clock_timestamp()
  where h.helper = in_helper;
  return true;
end
$function$;

-- dblink/helpers/close_lost_helpers
-- Purpose: marks helpers whose connection is gone as closed in the memory of the leader.
-- Returns: nothing.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.close_lost_helpers()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_helper record;
begin
  -- A rollback does not undo connections, so a row may outlive its connection.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state <> 'closed' and h.conn <> all (coalesce((select public.dblink_get_connections()), '{}'))
    order by h.helper
  loop
    if v_helper.state = 'busy' then
      perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, null, 'the helper session is gone');
    end if;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null, replaced = false
    where h.helper = v_helper.helper;
  end loop;
end
$function$;

-- dblink/helpers/read_helper_results
-- Purpose: processes the answers of helpers. A helper whose answer arrived before the end of its
--   query is stuck until that end.
-- Returns: the number of answers.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.read_helper_results()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_helper record;
  v_read record;
  v_came int := 0;
begin
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where case when h.state in ('busy', 'stuck') then public.dblink_is_busy(h.conn) = 0 else false end
    order by h.helper
  loop
    v_read := async.read_results(v_helper.conn);
    -- An error or a row may arrive before the end of the query. It is processed now, because it
    -- does not arrive twice.
    continue when not (v_read.ended or v_helper.state = 'busy' and (v_read.code is not null or v_read.value is not null));
    v_came := v_came + 1;
    if v_helper.state = 'busy' then
      perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, v_read.value, v_read.error);
      if not v_read.ended then
        update pg_temp.leader_helper h set state = 'stuck' where h.helper = v_helper.helper;
        continue;
      end if;
    end if;
    if async.ends_session(v_read.code) then
      perform async.close_session(v_helper.conn);
      update pg_temp.leader_helper h set state = 'closed', replaced = false where h.helper = v_helper.helper;
    else
      update pg_temp.leader_helper h set state = 'idle', op = null, target = null, ids = null, replaced = false
      where h.helper = v_helper.helper;
    end if;
  end loop;

  return v_came;
end
$function$;

-- dblink/helpers/give_up_late_helpers
-- Purpose: gives up helpers that are late: cancels their query, later terminates their backend, and
--   closes the helper when the backend is gone. A few helpers whose backends do not end are replaced.
-- Returns: nothing.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.give_up_late_helpers()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_helper_seconds_max constant interval := '8 seconds';
  -- Each keeps a connection to this server.
  c_replaced_max constant int := 8;
  v_helper record;
  v_number int;
begin
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'busy' and h.since < clock_timestamp()
      - case when h.op = 'probe' then interval '2500 milliseconds' else c_helper_seconds_max end
  loop
    perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, null,
      'no answer within the time that a connection may take');
    -- From Postgres 16 on the cancel ends a blocked connection attempt at once. Before, only
    -- connect_timeout ends it.
    perform pg_cancel_backend(v_helper.pid);
    update pg_temp.leader_helper h set state = 'stuck' where h.helper = v_helper.helper;
  end loop;

  -- A helper that the cancel did not free is terminated, and closed when it is gone.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'stuck' and h.since < clock_timestamp() - 2 * c_helper_seconds_max
  loop
    if exists (select from pg_stat_get_activity(v_helper.pid) a where a.pid = v_helper.pid) then
      perform pg_terminate_backend(v_helper.pid);
    else
      perform async.close_session(v_helper.conn);
      update pg_temp.leader_helper h set state = 'closed', replaced = false where h.helper = v_helper.helper;
    end if;
  end loop;

  -- libpq cannot be interrupted while it changes the encoding of a new connection.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'stuck' and not h.replaced and h.since < clock_timestamp() - 3 * c_helper_seconds_max
    order by h.helper
    limit c_replaced_max - (select count(*) from pg_temp.leader_helper r where r.replaced)
  loop
    v_number := (select max(h.helper) + 1 from pg_temp.leader_helper h);
    insert into pg_temp.leader_helper (helper, conn, lane)
    values (v_number, 'pgasync_helper_' || v_number, v_helper.lane);
    update pg_temp.leader_helper h set replaced = true where h.helper = v_helper.helper;
    perform async.log_quiet('WARNING', format(
      'target "%s" keeps the helper session with backend %s of this server: it is replaced', v_helper.target, v_helper.pid));
  end loop;
end
$function$;

-- dblink/helpers/send_helper_ops
-- Purpose: sends the operations that are due to free helpers.
-- Returns: nothing.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.send_helper_ops()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_helper record;
  v_op record;
begin
  if not async.helpers_are_due() then
    return;
  end if;
  for v_helper in
    select h.* from pg_temp.leader_helper h where h.state in ('idle', 'closed') order by h.helper
  loop
    v_op := async.next_helper_op(v_helper.lane);
    continue when v_op.op is null;
    if v_helper.state = 'closed' or not async.session_is_alive(v_helper.conn) then
      continue when not async.open_helper(v_helper.helper);
    end if;
    perform public.dblink_send_query(v_helper.conn, case v_op.op
      when 'probe' then format('select async.probe_target(%L)', v_op.target)
      else format('select async.end_sessions(%L, %L, %L)', v_op.ids, v_op.op,
        -- The recorded address and the present one, in turns.
        (select coalesce(bool_or(f.failures % 2 = 1), false) from pg_temp.leader_fence f
          where v_op.op = 'fence' and f.session_id = any (v_op.ids)))
    end);
    update pg_temp.leader_helper h
    set state = 'busy', op = v_op.op, target = v_op.target, ids = v_op.ids, since = clock_timestamp()
    where h.helper = v_helper.helper;
    perform async.note_helper_op(v_op.op, v_op.target, v_op.ids);
  end loop;
end
$function$;

-- dblink/helpers/run_helpers
-- Purpose: performs the actions that may block for long in helper sessions to this server itself:
--   processes their answers, gives up late helpers, and sends what is due. One helper is reserved
--   for cancels, one for targets that have not failed yet. The others do everything that is due.
-- Returns: the number of answers.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.run_helpers()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_came int;
begin
  perform async.close_lost_helpers();
  v_came := async.read_helper_results();
  perform async.give_up_late_helpers();
  perform async.send_helper_ops();
  return v_came;
end
$function$;

-- dblink/sessions/open_watchdog
-- Purpose: opens the watchdog, a session to this server itself that listens for the notifications
--   of async.wake_leader, and checks that it reaches this server as a role that may read
--   async.session.
-- Returns: null, or the error.
-- Raises: nothing.
-- Locks: none.
create or replace function async.open_watchdog()
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conninfo text := (select l.self_conninfo from pg_temp.leader_state l);
  v_error text;
  v_here bool;
begin
  perform async.close_session('pgasync_watchdog');
  v_error := async.open_session('pgasync_watchdog', v_conninfo, false);
  if v_error is not null then
    return v_error;
  end if;
  select r.here into v_here
  from public.dblink('pgasync_watchdog'::text, format(
      'select s.pid is not null and pg_catalog.has_schema_privilege(''async'', ''usage'') '
      'and pg_catalog.has_table_privilege(''async.session'', ''select'') '
      'from (select 1) x left join pg_catalog.pg_stat_get_activity(%s) s on true', pg_backend_pid()))
    as r(here bool);
  if not v_here then
    return 'the session it opens is on another server, or its role may not read async.session';
  end if;
  perform public.dblink_exec('pgasync_watchdog'::text, 'listen async_wake'::text);
  return null;
exception when others then
  return sqlerrm;
end
$function$;

-- dblink/sessions/close_own_connections
-- Purpose: closes all dblink connections of pgasync in this session.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_own_connections()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.close_session(n)
  from unnest(coalesce(public.dblink_get_connections(), '{}')) n
  where n like E'pgasync\\_%';
end
$function$;

-- dblink/helpers/run_upkeep
-- Purpose: keeps the upkeep running in a session to this server itself, without waiting for it: reads
--   the answer of async.upkeep, and sends the next call, or what the answer asks for: a VACUUM,
--   or the deletion of receipts at a target.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none here.
create or replace function async.run_upkeep(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_conn constant text := 'pgasync_upkeep';
  c_pause constant interval := '2 seconds';
  c_pause_after_failure constant interval := '10 seconds';
  v_state record;
  v_read record;
  v_error text;
  v_answer json;
  v_query text;
begin
  if not async.is_due('upkeep', '0', in_now) then
    return;
  end if;
  select l.writes, l.self_conninfo into v_state from pg_temp.leader_state l;
  if c_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
    if public.dblink_is_busy(c_conn) = 1 then
      return;
    end if;
    v_read := async.read_results(c_conn);
    if not v_read.ended then
      return;
    end if;
    -- The value after a VACUUM is its command tag.
    v_answer := case when v_read.value like '{%' then v_read.value::json end;
    if v_read.code is not null then
      v_error := v_read.error;
      perform async.close_session(c_conn);
    end if;
  else
    v_error := async.open_session(c_conn, v_state.self_conninfo, false);
    if v_error is null then
      perform public.dblink_exec(c_conn, 'set statement_timeout = 0; set lock_timeout = 1000'::text);
    end if;
  end if;
  if v_error is not null then
    perform async.log_quiet('WARNING', 'upkeep: ' || v_error);
    perform async.note_done('upkeep', in_now + c_pause_after_failure);
  elsif v_answer ->> 'vacuum' is null and (v_answer ->> 'receipts')::bool then
    perform public.dblink_send_query(c_conn, 'select async.delete_receipts()'::text);
  elsif v_answer ->> 'vacuum' is null and not (v_answer ->> 'more')::bool then
    perform async.note_done('upkeep', in_now + c_pause);
  else
    v_query := v_answer ->> 'vacuum';
    if v_query is null then
      v_query := format('call async.upkeep(%s)', v_state.writes);
      update pg_temp.leader_state set writes = 0 where writes > 0;
    end if;
    perform public.dblink_send_query(c_conn, v_query);
  end if;
end
$function$;

-- leader/memory/create_leader_state
-- Purpose: creates the memory of the SQL engine: temporary tables of its session. A rollback undoes
--   the changes to them, they write no WAL, and they end with the session.
-- Returns: nothing.
-- Raises: insufficient_privilege when the role may not create temporary tables.
-- Locks: none.
-- (Longer than a screen: a list of tables.)
create or replace function async.create_leader_state()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $function$
begin
  -- Nothing vacuums a temporary table. With a low fill factor the versions of one transaction fit on
  -- the page of their row, and the next transaction reuses their space. Otherwise rows move to new
  -- pages, and the table grows without end.
  drop table if exists pg_temp.leader_state, pg_temp.leader_worker, pg_temp.leader_pool, pg_temp.leader_lane,
    pg_temp.leader_target, pg_temp.leader_helper, pg_temp.leader_fence, pg_temp.leader_orphan,
    pg_temp.leader_backoff;

  -- One row.
  create temp table leader_state (
    epoch bigint not null,
    server_id text not null,
    self_conninfo text not null,
    -- The fingerprint of the schema at the start. The leader ends when it changes.
    fingerprint text not null,
    manual bool not null default false,
    -- The reason to stop: null (none), 'disabled', 'cancelled', ...
    stop text,
    -- Another orchestrator leads, so this one may write nothing.
    deposed bool not null default false,
    marks int not null default 0,
    led_since timestamptz not null default clock_timestamp(),
    -- A pool has a limit on starts.
    limits_starts bool not null default false,
    -- A target has receipts, or a task with one was found.
    receipts bool not null default false,
    -- Rows of async.task written since the upkeep was last told.
    writes bigint not null default 0,
    -- When the time is compensated for which targets blocked the leader (async.note_blocked_time).
    blocking_compensated_at timestamptz not null default '-infinity'
  ) with (fillfactor = 10);

  -- A worker runs one query at a time, over at most one session at one target.
  --
  --   state        means                              becomes
  --   empty        no session                         identifying (a session was opened)
  --   identifying  the identity query was sent        idle (registered), cleaning (registered while
  --                                                   a result is left), empty (failed)
  --   idle         a clean session                    claimed (a task was claimed), empty (dropped)
  --   claimed      the claim is committed             running (sent), ended (refused), lost (the
  --                                                   session was lost)
  --   running      the query, or the reset behind it  ended (its end is known), lost (session lost)
  --   ended        the end is not recorded yet        idle or cleaning (recorded), empty (recorded,
  --                                                   and dropped)
  --   cleaning     the reset was sent                 idle (clean), empty (failed)
  --   lost         the session may still run          ended (known to be gone)
  create temp table leader_worker (
    worker int primary key,
    conn text not null,
    state text not null default 'empty',
    since timestamptz not null default clock_timestamp(),
    target text,
    conninfo text,
    -- The connection string of the target when the session was opened.
    address text,
    session_id bigint,
    task_id bigint,
    run int,
    pool text,
    sent text,
    cleaning bool not null default false,
    -- The schema of dblink at the target, and whether the query that closes its connections was sent.
    dblink_schema text,
    connections_closed bool not null default false,
    -- The result of the text that was sent has been read, and the end of the text has not arrived
    -- yet.
    result_read bool not null default false,
    -- How many more results the session may send, and for how long the leader may receive more while it
    -- has results to read, before the session is ended.
    results_left int not null default 100,
    receiving_left interval not null default '1 second',
    -- A stage that read results was rolled back, so a result may have been read and lost.
    uncertain bool not null default false,
    -- Since when libpq reports the session as busy after an error: the end of the query may still
    -- arrive, or the connection is broken.
    broken_at timestamptz,
    outcome text,
    error text,
    -- What the target answered for a task whose rows are kept.
    result text,
    -- The task was recorded before the session was known to be gone.
    recorded bool not null default false,
    -- The session was lost and its host did not answer, so it does not count against the workers.
    unreachable bool not null default false,
    -- The session must not be used again, although the query succeeded.
    spent bool not null default false,
    intention async.finish_status_t,
    intention_error text,
    intention_duration interval,
    -- The role whose request it is.
    intention_by text,
    cancel_at timestamptz,
    cancels int not null default 0,
    request_ids bigint[] not null default '{}',
    retry_at timestamptz not null default '-infinity',
    tries int not null default 0,
    constraint leader_worker_state_is_known check (
      state in ('empty', 'identifying', 'idle', 'claimed', 'running', 'ended', 'cleaning', 'lost'))
  ) with (fillfactor = 10);

  create temp table leader_pool (
    pool text primary key,
    max_workers int not null,
    taken int not null default 0,
    -- The time between two starts, if it is limited, the last start, and whether a task was offered whose
    -- start has not been noticed.
    spacing interval,
    started_at timestamptz not null default '-infinity',
    offered bool not null default false,
    -- No task of it starts.
    paused bool not null default false,
    -- No offers before this time, after offers were withdrawn in favor of queries.
    offers_held_until timestamptz not null default '-infinity'
  ) with (fillfactor = 30);

  -- The lanes with waiting tasks.
  create temp table leader_lane (
    pool text not null,
    target text not null,
    pullable bool not null,
    -- All waiting tasks of the lane are behind this position, except those in backoff.
    after_priority int not null default -2147483648,
    after_entered timestamptz not null default '-infinity',
    after_id bigint not null default 0,
    -- No waiting task is known.
    exhausted bool not null default false,
    primary key (pool, target, pullable)
  ) with (fillfactor = 30);
  create index on pg_temp.leader_lane (after_priority, after_entered, after_id)
    where not exhausted;

  --   health   means                                becomes
  --   unknown  not reached yet, or not used lately  probing (a helper was sent), down (a session
  --                                                 failed)
  --   probing  a helper tries to reach it           ok (reached), down (not reached), unknown
  --                                                 (interrupted)
  --   ok       reached                              unknown (not used for a minute), down (a
  --                                                 session failed)
  --   down     not reached; its tasks wait          probing (retry_at has passed)
  create temp table leader_target (
    target text primary key,
    connection_string text,
    default_timeout interval,
    session_reset bool not null,
    max_concurrency int not null,
    max_sessions int,
    -- No task of it starts, and none fails because it is down.
    paused bool not null default false,
    configured bool not null default true,
    health text not null default 'unknown',
    fresh bool not null default true,
    version int,
    startup_options bool not null default true,
    failures int not null default 0,
    -- Of those the sessions that failed behind a probe that did not, since one was opened.
    session_failures int not null default 0,
    -- The last session that was opened has identified itself.
    identified bool not null default false,
    -- The last session took long to open; a query took long to send, or its results to
    -- read.
    connects_slowly bool not null default false,
    reads_slowly bool not null default false,
    down_since timestamptz,
    retry_at timestamptz not null default '-infinity',
    met_at timestamptz,
    last_error text,
    wanted int not null default 0,
    -- When a session was last moved here because tasks of other targets overtook those of this one, and how
    -- far, in the bounds of async.claim_tasks.
    session_moved_at timestamptz not null default '-infinity',
    overtaken_by float8 not null default 0,
    constraint leader_target_health_is_known check (health in ('unknown', 'probing', 'ok', 'down'))
  ) with (fillfactor = 10);

  -- Sessions to this server itself that perform actions that may block. lane: cancel, fresh (first
  -- contact), general.
  --
  --   state   means                        becomes
  --   closed  no session                   busy (opened, and an operation was sent)
  --   idle    a session that can be used   busy (an operation was sent), closed (interrupted)
  --   busy    an operation runs            idle (ended), stuck (late, or its answer came before its
  --                                        end), closed (lost)
  --   stuck   its answer does not count    idle (ended), closed (terminated)
  create temp table leader_helper (
    helper int primary key,
    conn text not null,
    pid int,
    lane text not null,
    state text not null default 'closed',
    op text,
    target text,
    ids bigint[],
    since timestamptz not null default clock_timestamp(),
    -- It is stuck, its backend does not end, and another helper takes its place.
    replaced bool not null default false,
    constraint leader_helper_state_is_known check (state in ('closed', 'idle', 'busy', 'stuck')),
    constraint leader_helper_lane_is_known check (lane in ('cancel', 'fresh', 'general'))
  ) with (fillfactor = 10);

  -- Sessions at targets that must be known to be gone: those of lost leaders, and those that were
  -- lost while a query ran.
  create temp table leader_fence (
    session_id bigint primary key,
    target text not null,
    retry_at timestamptz not null default '-infinity',
    failures int not null default 0,
    -- The host did not answer.
    unreachable bool not null default false,
    -- A session of a lost leader: nothing is launched at its target before it is gone.
    older bool not null default false
  ) with (fillfactor = 10);

  -- Tasks of lost leaders, until their target is fenced.
  create temp table leader_orphan (
    task_id bigint primary key,
    run int not null,
    target text not null,
    pool text not null,
    -- False: claimed and not sent, and the row could not be given back yet.
    launched bool not null,
    recorded bool not null default false,
    -- What the fence has found out about its receipt (async.resolve_receipts).
    resolved text,
    known text,
    result text
  ) with (fillfactor = 10);

  -- Tasks whose rows could not be written, with the time of the next attempt.
  create temp table leader_backoff (
    task_id bigint primary key,
    until timestamptz not null,
    failures int not null,
    -- The position of its lane may be behind the task, if it waits.
    out_of_lane bool not null default true
  ) with (fillfactor = 10);
end
$function$;

-- leader/memory/carry_over_memory
-- Purpose: continues the memory of a leader whose schema was replaced by another version while it
--   ran. The temporary tables are created as this version has them, and get the rows of the old
--   ones, in the columns that both versions have. Then the leader stops in the usual way: it records
--   the results of the queries that run, and ends.
-- Returns: nothing.
-- Raises: PA213 when the rows do not fit. The next leader resolves the tasks then.
-- Locks: none.
create or replace function async.carry_over_memory() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning
as $function$
declare
  v_table name;
  v_columns text;
begin
  for v_table in
    select c.relname from pg_class c
    where c.relnamespace = pg_my_temp_schema() and c.relkind = 'r' and c.relname like E'leader\\_%'
  loop
    execute format('drop table if exists pg_temp.%I', 'old_' || v_table);
    execute format('alter table pg_temp.%I rename to %I', v_table, 'old_' || v_table);
  end loop;
  perform async.create_leader_state();
  for v_table, v_columns in
    select c.relname, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_class o on o.relnamespace = c.relnamespace and o.relname = 'old_' || c.relname
    join pg_attribute b on b.attrelid = o.oid and b.attname = a.attname and not b.attisdropped
    where c.relnamespace = pg_my_temp_schema() and c.relkind = 'r' and c.relname like E'leader\\_%'
    group by c.relname
  loop
    execute format('insert into pg_temp.%1$I (%3$s) select %3$s from pg_temp.%2$I',
      v_table, 'old_' || v_table, v_columns);
    execute format('drop table pg_temp.%I', 'old_' || v_table);
  end loop;
  update pg_temp.leader_state
  set stop = 'PA213: the schema async was replaced by another version; start the orchestrator anew';
exception
  when query_canceled then
    raise;
  when assert_failure or others then
    raise exception 'the schema async was replaced by another version, which cannot continue: %', sqlerrm
      using errcode = 'PA213', hint = 'Start the orchestrator again. Tasks whose queries ran have an unknown outcome.';
end
$function$;

-- leader/memory/is_due
-- Purpose: whether a periodic action is due. If it is, notes that it is done now. The times are
--   settings of the session: a row of a temporary table would give each idle cycle a transaction
--   id, and so a WAL record. They are seconds since 1970, which do not depend on datestyle.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_due(in_what text, in_every interval, in_now timestamptz)
returns bool
language plpgsql
as $function$
begin
  if to_timestamp(coalesce(nullif(current_setting('pgasync.' || in_what, true), ''), '0')::float8) + in_every > in_now then
    return false;
  end if;
  perform async.note_done(in_what, in_now);
  return true;
end
$function$;

-- leader/memory/note_done
-- Purpose: notes when a periodic action was last done. With a time in the future the action is not
--   due before it.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_done(in_what text, in_at timestamptz)
returns void
language plpgsql
as $function$
begin
  perform set_config('pgasync.' || in_what, to_char(extract(epoch from in_at)::numeric, 'FM99999999999990.000000'), false);
end
$function$;

-- leader/memory/note_blocked_time
-- Purpose: notes how long a call of dblink to a target blocked the leader, and with it the tasks of
--   all other targets. Targets that block the leader for long share one account: it is compensated when
--   nine times the blocked time has passed, so together they take a tenth of the time of the leader.
-- Returns: whether the call took long.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_blocked_time(in_took interval)
returns bool
language plpgsql
as $function$
declare
  c_slow constant interval := '200 milliseconds';
  c_free_for_each_blocked constant float8 := 9;
begin
  if in_took < c_slow then
    return false;
  end if;
  update pg_temp.leader_state
  set blocking_compensated_at = greatest(blocking_compensated_at, clock_timestamp()) + c_free_for_each_blocked * in_took;
  return true;
end
$function$;

-- leader/memory/may_block_again
-- Purpose: whether a target that blocked the leader may do so again (see async.note_blocked_time). The
--   first two seconds need no compensation beforehand.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_block_again(in_now timestamptz)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select l.blocking_compensated_at < in_now + interval '18 seconds' from pg_temp.leader_state l);
end
$function$;

-- leader/memory/may_identify_more
-- Purpose: whether a target whose last session failed may open one. A target that does not answer
--   keeps a worker for seconds, so such targets take half of the workers.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_identify_more()
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select count(*) from pg_temp.leader_worker s join pg_temp.leader_target t on t.target = s.target
      where s.state = 'identifying' and t.session_failures > 0)
    < (select greatest(c.workers / 2, 1) from async.control c);
end
$function$;

-- leader/memory/note_session_failure
-- Purpose: notes that a session at a target could not be opened, or that the target did not read,
--   although a probe had reached the target. Until a session is opened, the success of a probe does
--   not reset the failures of the target, nor its backoff.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_session_failure(in_target text, in_error text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_target t set session_failures = t.session_failures + 1, identified = false
  where t.target = in_target;
  perform async.note_target_failure(in_target, in_error);
end
$function$;

-- leader/memory/note_session_opened
-- Purpose: notes that a session at a target was opened, which ends a series of failed sessions.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_session_opened(in_target text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_target t
  set failures = 0, session_failures = 0, down_since = null, last_error = null
  where t.target = in_target and t.session_failures > 0;
  if found then
    perform async.log_quiet('NOTICE', format('target "%s" is back', in_target));
  end if;
end
$function$;

-- leader/memory/make_all_due
-- Purpose: forgets when periodic actions were last done, so that a new leader does them all, and
--   that this session fell asleep as an earlier leader.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.make_all_due()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('pgasync.' || w, '', false)
  from unnest('{configured,swept,polled_to,polled,reviewed,reviewed_to,forgot,compacted,checked_targets,published,pool_limits,recounted,recorded,writers,upkeep,fires}'::text[]) w;
end
$function$;

-- leader/memory/note_next_firing
-- Purpose: notes when the leader has to fire schedules next (null: there is none). It is a setting of
--   the session, as in async.is_due.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_next_firing(in_at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_at is null then
    perform set_config('pgasync.fires', '', false);
  else
    perform async.note_done('fires', in_at);
  end if;
end
$function$;

-- leader/memory/firing_time
-- Purpose: when the leader has to fire schedules next, as async.note_next_firing noted it.
-- Returns: timestamptz; null when there is none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.firing_time() returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return to_timestamp(nullif(current_setting('pgasync.fires', true), '')::float8);
end
$function$;

-- leader/helpers/next_helper_op
-- Purpose: the next operation of a free helper of a lane: cancels first; then first contact with
--   targets that have not failed yet, the latest first; then, in the general lane, fences and
--   targets that failed before. A target at which a helper is stuck gets no other one.
-- Returns: one row: op (cancel, terminate, fence, probe; null: nothing is due), target, session
--   ids.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: a list of what may be due, in order.)
create or replace function async.next_helper_op(
  in_lane text, out op text, out target text, out ids bigint[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_sessions_per_fence_max constant int := 50;
  c_look_every constant interval := '10 seconds';
begin
  -- Cancels at a target that is not ok go to the general lane, where a stuck helper does no harm.
  select case when s.cancels = 0 then 'cancel' else 'terminate' end, s.target, array[s.session_id]
  into op, target, ids
  from pg_temp.leader_worker s
  join pg_temp.leader_target t on t.target = s.target
  where s.state = 'running' and s.intention is not null and s.cancel_at <= clock_timestamp()
    and (in_lane = 'general' or in_lane = 'cancel' and t.health = 'ok')
    and not exists (select from pg_temp.leader_helper h
      where h.state = 'busy' and h.ids = array[s.session_id] or h.state = 'stuck' and h.target = s.target)
  order by s.cancel_at, s.worker
  limit 1;
  if op is not null or in_lane = 'cancel' then
    return;
  end if;

  select 'probe', t.target into op, target
  from pg_temp.leader_target t
  where t.health = 'unknown' and t.fresh
    and not exists (select from pg_temp.leader_helper h where h.state = 'stuck' and h.target = t.target)
    and exists (select from pg_temp.leader_lane l where l.target = t.target and not l.pullable and not l.exhausted)
  order by t.retry_at desc, t.target
  limit 1;
  if op is not null or in_lane = 'fresh' then
    return;
  end if;

  select 'fence', f.target, array_agg(f.session_id order by f.session_id) into op, target, ids
  from (
    select f.session_id, f.target
    from (
      select i.target, i.failures % 2 as turn, s.connection_string
      from pg_temp.leader_fence i
      left join async.session s on s.session_id = i.session_id
      where i.retry_at <= clock_timestamp()
        and not exists (select from pg_temp.leader_helper h
          where h.state in ('busy', 'stuck') and h.op = 'fence' and h.target = i.target)
      order by i.retry_at, i.session_id
      limit 1
    ) d
    -- Only sessions of one address, so that an unreachable address does not delay the end of the
    -- others.
    join pg_temp.leader_fence f
      on f.target = d.target and f.failures % 2 = d.turn and f.retry_at <= clock_timestamp()
    join async.session s
      on s.session_id = f.session_id
        and regexp_replace(s.connection_string, 'application_name=''[^'']*''', '')
          = regexp_replace(d.connection_string, 'application_name=''[^'']*''', '')
    order by f.session_id
    limit c_sessions_per_fence_max
  ) f
  group by f.target;
  if op is not null then
    return;
  end if;

  select 'probe', t.target into op, target
  from pg_temp.leader_target t
  where (t.health = 'down' and t.retry_at <= clock_timestamp() or t.health = 'unknown')
    and not exists (select from pg_temp.leader_helper h where h.state = 'stuck' and h.target = t.target)
    -- A target that was lost is probed without a task too, now and then, so that its state is known.
    and (t.health = 'down' and t.configured and t.retry_at + c_look_every <= clock_timestamp()
      or exists (select from pg_temp.leader_lane l where l.target = t.target and not l.pullable and not l.exhausted))
  order by t.retry_at, t.target
  limit 1;
end
$function$;

-- leader/helpers/helpers_are_due
-- Purpose: whether an operation for a helper is due. It is called in every cycle, so it must be
--   cheap.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.helpers_are_due()
returns bool
language plpgsql
as $function$
begin
  if exists (select from pg_temp.leader_worker s where s.cancel_at <= clock_timestamp() and s.state = 'running')
    or exists (select from pg_temp.leader_fence f where f.retry_at <= clock_timestamp())
  then
    return true;
  end if;
  -- The lanes, of which there may be many, are read only for such a target.
  return exists (
      select from pg_temp.leader_target t
      where t.health = 'unknown' or t.health = 'down' and t.retry_at <= clock_timestamp())
    and exists (
      select from pg_temp.leader_target t
      join pg_temp.leader_lane l on l.target = t.target and not l.pullable and not l.exhausted
      where t.health = 'unknown' or t.health = 'down' and t.retry_at <= clock_timestamp());
end
$function$;

-- leader/helpers/note_helper_op
-- Purpose: notes an operation that was sent to a helper, so that no other helper gets it meanwhile.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_helper_op(in_op text, in_target text, in_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_escalate constant interval := '3 seconds';
begin
  case in_op
    when 'probe' then
      update pg_temp.leader_target t set health = 'probing' where t.target = in_target;
    when 'fence' then
      update pg_temp.leader_fence f set retry_at = 'infinity' where f.session_id = any (in_ids);
    else
      update pg_temp.leader_worker s set cancels = s.cancels + 1, cancel_at = clock_timestamp() + c_escalate
      where s.session_id = any (in_ids) and s.state = 'running';
  end case;
end
$function$;

-- leader/memory/free_workers
-- Purpose: ends the task of each worker in memory. The session is kept after a success, or when
--   nothing was sent. It is dropped otherwise, and after any cancel, because a late cancel must not
--   reach the next query.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.free_workers(in_workers int[])
returns void
language plpgsql
as $function$
begin
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s
  where s.worker = any (in_workers)
    and (s.cancels > 0 or s.spent or s.outcome is distinct from 'ok' and (s.sent is not null or s.outcome = 'lost'));
  update pg_temp.leader_worker s
  set state = case when s.state = 'empty' then 'empty' when s.cleaning then 'cleaning' else 'idle' end,
      since = clock_timestamp(),
      task_id = null, run = null, pool = null, sent = null, outcome = null, error = null, result = null, recorded = false,
      intention = null, intention_error = null, intention_duration = null, intention_by = null, cancel_at = null, cancels = 0,
      request_ids = '{}', result_read = false, uncertain = false, broken_at = null, unreachable = false, spent = false, retry_at = '-infinity', tries = 0
  where s.worker = any (in_workers);
end
$function$;

-- leader/memory/settle_lost_sessions
-- Purpose: lets the tasks of lost sessions be recorded, after the sessions are known to be gone. A
--   task that was recorded before, at its deadline, releases its pool slot.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.settle_lost_sessions(in_sessions bigint[])
returns void
language plpgsql
as $function$
begin
  update pg_temp.leader_worker s set state = 'ended', since = clock_timestamp()
  where s.state = 'lost' and s.session_id = any (in_sessions);
end
$function$;

-- leader/helpers/take_helper_result
-- Purpose: processes the answer of a helper.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.take_helper_result(
  in_op text, in_target text, in_ids bigint[], in_value text, in_error text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The message of dblink about a connection says nothing, and its detail has the cause.
  v_error constant text := regexp_replace(split_part(in_error, E'\nCONTEXT: ', 1),
    E'^(08001: )[^\n]*\nDETAIL: ', E'\\1');
  v_worker record;
begin
  if in_op = 'probe' then
    if in_error is null then
      update pg_temp.leader_target t
      set health = 'ok', version = in_value::int, met_at = clock_timestamp(),
          failures = case when t.session_failures > 0 then t.failures else 0 end,
          down_since = case when t.session_failures > 0 then t.down_since end
      where t.target = in_target;
      perform async.log_quiet('NOTICE', format('target "%s" is back', in_target))
      from pg_temp.leader_target t
      where t.target = in_target and t.last_error is not null and t.session_failures = 0;
      update pg_temp.leader_target t set last_error = null where t.target = in_target and t.session_failures = 0;
    else
      perform async.note_target_failure(in_target, v_error);
    end if;
    return;
  end if;

  if in_op = 'fence' then
    perform async.take_fence_result(in_target, case when in_error is null then in_value::jsonb else (
      select jsonb_agg(jsonb_build_object('id', i, 'state', 'unreached', 'error', v_error)) from unnest(in_ids) i) end);
    return;
  end if;
  if in_error is not null then
    perform async.note_target_failure(in_target, v_error);
    -- A session that cannot be reached for a cancel is fenced. A fence is retried until it
    -- succeeds.
    for v_worker in
      select s.worker from pg_temp.leader_worker s
      where s.session_id = any (in_ids) and s.state = 'running' and in_error is not null and s.cancels > 1
    loop
      perform async.lose_session(v_worker.worker);
    end loop;
  end if;
end
$function$;

-- leader/fences/take_resolved_receipts
-- Purpose: notes what is known of the receipts of sessions that are gone, with the lost workers and the
--   orphans whose runs they are (see async.resolve_receipts).
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.take_resolved_receipts(in_resolved jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_worker s
  set outcome = n.outcome, error = n.error, result = n.result, spent = true,
      sent = case when n.result is null then 'raw' else 'kept' end
  from jsonb_to_recordset(in_resolved) n(task_id bigint, run int, outcome text, error text, result text)
  where s.state = 'lost' and not s.recorded and s.task_id = n.task_id and s.run = n.run;
  update pg_temp.leader_orphan o set resolved = n.outcome, known = n.error, result = n.result
  from jsonb_to_recordset(in_resolved) n(task_id bigint, run int, outcome text, error text, result text)
  where not o.recorded and o.task_id = n.task_id and o.run = n.run;
end
$function$;

-- leader/fences/take_fence_result
-- Purpose: processes the result of a fence: sessions that are gone are removed from the registry
--   and their tasks are settled. The others are retried, shown in async.v_lost_session, and logged
--   at the first, second, fourth, eighth try, and so on.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.take_fence_result(in_target text, in_found jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left record;
begin
  perform async.take_resolved_receipts(f.receipts)
  from jsonb_to_recordset(in_found) f(state text, receipts jsonb) where f.state = 'gone' and f.receipts is not null;
  perform async.forget_sessions(array(
    select (f ->> 'id')::bigint from jsonb_array_elements(in_found) f where f ->> 'state' = 'gone'));
  update pg_temp.leader_fence f
  set failures = f.failures + 1, unreachable = n.state = 'unreached' or f.unreachable and n.state <> 'waiting',
      retry_at = clock_timestamp() + async.backoff(f.failures + 1, '500 milliseconds', '10 seconds', random())
  from jsonb_to_recordset(in_found) n(id bigint, state text)
  where f.session_id = n.id;
  update pg_temp.leader_worker s set unreachable = true
  from pg_temp.leader_fence f
  where f.session_id = s.session_id and f.unreachable and s.state = 'lost' and not s.unreachable;
  update async.session s
  set lost_since = coalesce(s.lost_since, clock_timestamp()), lost_error = n.error
  from (
    select f.id, coalesce(f.error, async.spared_session_reason(f.id)) as error
    from jsonb_to_recordset(in_found) f(id bigint, state text, error text) where f.state <> 'gone') n
  where s.session_id = n.id and (s.lost_since is null or s.lost_error is distinct from n.error);

  for v_left in
    select n.state, n.error, min(n.id) as id, count(*) as sessions, f.failures, min(s.pid) as pid
    from jsonb_to_recordset(in_found) n(id bigint, state text, error text)
    join pg_temp.leader_fence f on f.session_id = n.id
    join async.session s on s.session_id = n.id
    where n.state <> 'gone' and f.failures & (f.failures - 1) = 0
    group by n.state, n.error, f.failures
    order by min(n.id)
  loop
    perform async.log_quiet('WARNING', case
      when v_left.state = 'waiting' and v_left.failures = 1 then format(
        '%s sessions at target "%s" (backend %s is the first): %s', v_left.sessions, in_target, v_left.pid,
        async.spared_session_reason(v_left.id))
      when v_left.state <> 'waiting' then format(
        '%s sessions at target "%s" (backend %s is the first) cannot be ended yet (try %s): %s. '
        'When it is known to be gone: select async.write_off_session(%s)',
        v_left.sessions, in_target, v_left.pid, v_left.failures, v_left.error, v_left.id)
      end)
    where v_left.state <> 'waiting' or v_left.failures = 1;
  end loop;

  -- A failure is one of the target only if the address that failed is its present one.
  perform async.note_target_failure(in_target, n.error)
  from jsonb_to_recordset(in_found) n(id bigint, state text, error text)
  join async.session s on s.session_id = n.id
  where n.state in ('failed', 'unreached')
    and async.same_server(s.connection_string, async.current_conninfo(in_target))
  order by n.id
  limit 1;
end
$function$;

-- leader/fences/spared_session_reason
-- Purpose: the reason why a fence leaves a session alone.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.spared_session_reason(in_session bigint)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format(
    'left alone until it ends, since address, port or timeline of this server have changed: it may belong to another '
    'server, of which this is a copy. If this is the copy, stop the orchestrator and select async.adopt(); if nothing uses '
    'the session any more, select async.write_off_session(%s)', in_session)
$function$;

-- leader/fences/current_conninfo
-- Purpose: the present connection string of a target.
-- Returns: text; null when the target does not exist or has no connection string.
-- Raises: nothing.
-- Locks: none.
create or replace function async.current_conninfo(in_target text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case when t.target = c.self_target then async.self_conninfo() else t.connection_string end
  from async.target t cross join async.control c
  where t.target = in_target
$function$;

-- leader/fences/forget_sessions
-- Purpose: removes sessions that are gone, or count as gone, from the registry, and settles their
--   tasks.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.forget_sessions(in_sessions bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from pg_temp.leader_fence f where f.session_id = any (in_sessions);
  perform async.unregister_sessions(in_sessions);
  perform async.settle_lost_sessions(in_sessions);
end
$function$;

-- leader/fences/take_write_offs
-- Purpose: treats sessions that an operator wrote off, or deleted from the registry, as gone.
-- Returns: the number of sessions.
-- Raises: nothing.
-- Locks: as async.forget_sessions.
create or replace function async.take_write_offs()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_off bigint[];
begin
  v_off := array(
    select f.session_id
    from pg_temp.leader_fence f
    left join async.session s on s.session_id = f.session_id
    where s.session_id is null or s.written_off);
  if v_off <> '{}' then
    perform async.take_resolved_receipts((
      select jsonb_agg(jsonb_build_object('task_id', r.task_id, 'run', r.run, 'outcome', 'lost', 'error', r.written_off))
      from async.open_receipts(v_off) r));
    perform async.forget_sessions(v_off);
  end if;
  return pg_catalog.cardinality(v_off);
end
$function$;

-- leader/election/check_lead
-- Purpose: checks whether this session may still lead. Takes the locks again if a routine released
--   them (pg_advisory_unlock_all()), unless another orchestrator holds them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the advisory locks of the leader, if they were lost.
create or replace function async.check_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.leader_pid() is distinct from pg_backend_pid() and not async.take_locks() then
    perform async.lose_lead();
  end if;
end
$function$;

-- leader/election/lose_lead
-- Purpose: notes that another orchestrator leads. This one writes nothing more, and ends.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lose_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_state set stop = 'another orchestrator has taken the lead', deposed = true;
end
$function$;

-- leader/election/note_failure
-- Purpose: logs the error of a part of a cycle, for each part at most once in ten seconds.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.note_failure(in_part text, in_error text, in_code text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.is_due('logged_' || in_part, '10 seconds', clock_timestamp()) then
    perform async.log_quiet('ERROR', format('stage %s: %s (%s)', in_part, in_error, in_code));
  end if;
exception when assert_failure or others then
  null;
end
$function$;

-- leader/memory/refresh_pool_limits
-- Purpose: applies changed limits of pools to the memory of the leader (see async.pool_limit and
--   async.pool_spacing). Many
--   pools take long, and the next time is late enough to take a small share of the time.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refresh_pool_limits()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
declare
  c_share constant float8 := 20;
  v_began constant timestamptz := clock_timestamp();
begin
  if not async.is_due('pool_limits', '0', v_began) then
    return;
  end if;
  update pg_temp.leader_pool p
  set max_workers = l.max_workers, spacing = l.spacing, paused = l.paused
  from (
    select i.pool, coalesce(n.max_workers, t.max_concurrency, c.default_concurrency_pool_workers) as max_workers,
      n.interval / nullif(n.starts_max, 0) as spacing, coalesce(n.paused, false) as paused
    from pg_temp.leader_pool i
    cross join async.control c
    left join async.concurrency_pool n on n.concurrency_pool = i.pool
    left join async.target t on t.target = i.pool
  ) l
  where l.pool = p.pool
    and (l.max_workers <> p.max_workers or l.spacing is distinct from p.spacing or l.paused <> p.paused);
  perform async.note_done('pool_limits', v_began + c_share * (clock_timestamp() - v_began));
end
$function$;

-- leader/stages/refresh_configuration
-- Purpose: applies a changed configuration to the memory of the leader: workers, targets with their
--   health, limits of pools, the next firing of a schedule.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: a list of what follows the configuration.)
create or replace function async.refresh_configuration()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control async.control;
  v_worker record;
  v_workers int;
begin
  select c.* into v_control from async.control c;
  update pg_temp.leader_state s set limits_starts = n.limits, receipts = s.receipts or n.receipts
  from (
    select exists (select from async.concurrency_pool p where p.starts_max > 0) as limits,
      exists (select from async.target t where t.receipts) as receipts
  ) n
  where s.limits_starts <> n.limits or n.receipts and not s.receipts;
  v_workers := v_control.workers + (select count(*) from pg_temp.leader_worker s where s.unreachable);

  -- More workers at once; fewer as they become free.
  insert into pg_temp.leader_worker (worker, conn)
  select n, 'pgasync_slot_' || n from generate_series(1, v_workers) n
  on conflict do nothing;
  for v_worker in
    select s.worker from pg_temp.leader_worker s
    where s.worker > v_workers and s.state in ('empty', 'idle')
  loop
    perform async.drop_session(v_worker.worker);
    delete from pg_temp.leader_worker s where s.worker = v_worker.worker;
  end loop;

  -- Sessions that were idle for five minutes are closed.
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state = 'idle' and s.since < clock_timestamp() - interval '5 minutes';

  insert into pg_temp.leader_helper (helper, conn, lane)
  select n, 'pgasync_helper_' || n, case n when 1 then 'cancel' when 2 then 'fresh' else 'general' end
  from generate_series(1, greatest(v_control.self_concurrency, 3)) n
  on conflict do nothing;
  if not exists (select from pg_temp.leader_helper h where h.replaced) then
    perform async.close_session(h.conn)
    from pg_temp.leader_helper h
    where h.helper > greatest(v_control.self_concurrency, 3) and h.state = 'idle';
    delete from pg_temp.leader_helper h
    where h.helper > greatest(v_control.self_concurrency, 3) and h.state in ('closed', 'idle');
  end if;

  -- A target with a changed address is probed, and idle sessions at the old address are dropped.
  for v_worker in
    select s.worker
    from pg_temp.leader_worker s
    left join async.target t on t.target = s.target
    where s.state = 'idle' and t.connection_string is distinct from s.address
  loop
    perform async.drop_session(v_worker.worker);
  end loop;
  -- No "on conflict do update": it would lock unchanged rows, and so take a transaction id.
  update pg_temp.leader_target o
  set connection_string = t.connection_string,
      default_timeout = t.default_timeout,
      session_reset = t.session_reset,
      max_concurrency = t.max_concurrency,
      max_sessions = t.max_sessions,
      paused = t.paused,
      configured = true,
      health = case when o.connection_string is distinct from t.connection_string then 'unknown' else o.health end,
      fresh = o.fresh or o.connection_string is distinct from t.connection_string,
      failures = case when o.connection_string is distinct from t.connection_string then 0 else o.failures end,
      -- The tasks of a target that was paused have not waited for it.
      down_since = case when o.connection_string is distinct from t.connection_string then null
        when o.paused and not t.paused and o.down_since is not null then clock_timestamp()
        else o.down_since end,
      retry_at = case when o.paused and not t.paused then '-infinity' else o.retry_at end
  from async.target t
  where t.target = o.target
    and (o.connection_string, o.default_timeout, o.session_reset, o.max_concurrency, o.max_sessions, o.paused,
        o.configured)
      is distinct from
      (t.connection_string, t.default_timeout, t.session_reset, t.max_concurrency, t.max_sessions, t.paused, true);
  insert into pg_temp.leader_target (target, connection_string, default_timeout, session_reset, max_concurrency,
    max_sessions, paused, health, fresh, met_at, retry_at)
  select t.target, t.connection_string, t.default_timeout, t.session_reset, t.max_concurrency, t.max_sessions,
    t.paused, 'unknown', true, null, clock_timestamp()
  from async.target t
  where not exists (select from pg_temp.leader_target o where o.target = t.target);
  -- Of the sessions above a lower limit, the idle ones are closed at once.
  perform async.drop_session(s.worker)
  from (
    select w.worker, w.state, t.max_sessions,
      row_number() over (partition by w.target order by w.state = 'idle', w.since desc, w.worker) as place
    from pg_temp.leader_worker w
    join pg_temp.leader_target t on t.target = w.target
    where w.state <> 'empty'
  ) s
  where s.state = 'idle' and s.place > s.max_sessions;

  update pg_temp.leader_target o set configured = false
  where o.configured and not exists (select from async.target t where t.target = o.target);

  -- A helper probes a target that was not used for a minute before the leader connects to it again.
  update pg_temp.leader_target o set health = 'unknown'
  where o.health = 'ok' and o.met_at < clock_timestamp() - interval '1 minute'
    and not exists (select from pg_temp.leader_worker s where s.target = o.target);

  perform async.refresh_pool_limits();
  perform async.note_next_firing(async.next_firing(clock_timestamp()));
end
$function$;

-- leader/memory/recount_pools
-- Purpose: counts the occupancy of each pool from the tasks: at the start of a leader, and
--   periodically, because users may change tasks by hand.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.recount_pools()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
begin
  insert into pg_temp.leader_pool as p (pool, max_workers, spacing, started_at, paused, taken)
  select n.pool, async.pool_limit(n.pool), async.pool_spacing(n.pool), s.led_since,
    async.is_paused(n.pool, null), n.taken
  from pg_temp.leader_state s cross join (
    select i.pool, count(*)::int as taken
    from (
      select coalesce(t.concurrency_pool, t.target) as pool
      from async.task t
      where t.processed is null and t.times_up is not null and t.tracked
        and (t.consumed is not null or t.yielded is not null)
      union all
      select o.pool from async.offer o
      union all
      select s.pool from pg_temp.leader_worker s where s.recorded
      union all
      select r.pool from pg_temp.leader_orphan r where r.recorded
    ) i
    group by i.pool
  ) n
  on conflict (pool) do update set taken = excluded.taken;
  update pg_temp.leader_pool p set taken = 0
  where p.taken <> 0
    and not exists (
      select from async.task t
      where t.processed is null and t.times_up is not null and t.tracked
        and coalesce(t.concurrency_pool, t.target) = p.pool)
    and not exists (select from async.offer o where o.pool = p.pool)
    and not exists (select from pg_temp.leader_worker s where s.recorded and s.pool = p.pool)
    and not exists (select from pg_temp.leader_orphan r where r.recorded and r.pool = p.pool);
end
$function$;

-- leader/memory/back_off_task
-- Purpose: delays the next attempt to write the row of a task after a failed attempt (a client
--   holds the row, or a trigger raised an error), and logs the error. A row that is only locked is
--   retried at least twice a second.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.back_off_task(in_id bigint, in_outcome text, in_error text, in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_first constant interval := '50 milliseconds';
  v_last constant interval := case in_outcome when 'failed' then '30 seconds' else '500 milliseconds' end;
  v_failures int;
begin
  insert into pg_temp.leader_backoff as p (task_id, until, failures)
  values (in_id, in_now + c_first, 1)
  on conflict (task_id) do update
  set failures = p.failures + 1, out_of_lane = true, until = in_now + async.backoff(p.failures + 1, c_first, v_last, random())
  returning p.failures into v_failures;
  -- At the first, second, fourth, eighth try, and so on.
  if in_outcome = 'failed' and v_failures & (v_failures - 1) = 0 then
    perform async.log_quiet('WARNING', format('task %s cannot be written (try %s): %s', in_id, v_failures, in_error));
  end if;
end
$function$;

-- leader/memory/tasks_backing_off
-- Purpose: the tasks in backoff, whose rows are not to be written yet.
-- Returns: their ids.
-- Raises: nothing.
-- Locks: none.
create or replace function async.tasks_backing_off(in_now timestamptz)
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return array(select p.task_id from pg_temp.leader_backoff p where p.until > in_now);
end
$function$;

-- leader/stages/leader_write
-- Purpose: writes events for the SQL engine (see async.write_all): tasks whose rows could not be
--   written go into backoff, and the backoff of written tasks ends.
-- Returns: the tasks that differ from the prediction, as async.write_all, and whether they are in
--   backoff.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.leader_write(
  in_now timestamptz,
  in_claims bigint[], in_claim_runs int[], in_claim_timeouts interval[],
  in_ends bigint[], in_end_runs int[],
  in_events async.event_t[]
) returns table (
  task_id bigint, event text, outcome text, consumed timestamptz, processed timestamptz, yielded timestamptz,
  tracked bool, run int, backs_off bool
)
language plpgsql
as $function$
#variable_conflict use_column
declare
  v_claims_at constant timestamptz[] := array_fill(in_now, array[coalesce(cardinality(in_claims), 0)]);
  v_ends_at constant timestamptz[] := array_fill(in_now, array[coalesce(cardinality(in_ends), 0)]);
  v_left async.event_t[];
  v_batch record;
  v_row record;
  v_noted text;
begin
  v_noted := async.note_value('pgasync_batch_tasks', async.metric_bounds('pgasync_batch_tasks'),
    coalesce(cardinality(in_claims), 0) + coalesce(cardinality(in_ends), 0) + coalesce(cardinality(in_events), 0));
  v_noted := async.note_tasks('ended', in_ends);
  if cardinality(in_events) > 0 then
    v_noted := async.note_tasks('ended', array(
      select e.task_id
      from unnest(in_events) e
      where e.event in ('END_OK', 'END_ERROR', 'END_UNKNOWN', 'REQUEST', 'DEADLINE', 'UNREACHABLE', 'GIVE_UP')));
  end if;
  -- Usually one statement for each kind of event writes all, and nothing is left.
  if async.has_user_triggers() then
    v_left := async.as_events(in_claims, in_claim_runs, v_claims_at, in_claim_timeouts, in_ends, in_end_runs, v_ends_at,
      in_events);
  else
    v_batch := async.write_batch(in_claims, in_claim_runs, v_claims_at, in_claim_timeouts, in_ends, in_end_runs, v_ends_at,
      in_events);
    v_left := v_batch.left_over;
  end if;
  if v_left <> '{}' then
    for v_row in
      select w.* from async.write_all(null, null, null, null, null, null, null, v_left, true) w
    loop
      task_id := v_row.task_id;
      event := v_row.event;
      outcome := v_row.outcome;
      consumed := v_row.consumed;
      processed := v_row.processed;
      yielded := v_row.yielded;
      tracked := v_row.tracked;
      run := v_row.row_run;
      -- A request that does not fit an unfinished task stays until it fits.
      backs_off := outcome in ('locked', 'failed')
        or outcome = 'rejected' and event = 'REQUEST' and run is not null and processed is null;
      if backs_off then
        perform async.back_off_task(task_id, outcome, v_row.error, in_now);
      end if;
      return next;
    end loop;
  end if;
  if exists (select from pg_temp.leader_backoff) then
    delete from pg_temp.leader_backoff p
    where p.until <= in_now
      and p.task_id = any (in_claims || in_ends || array(select e.task_id from unnest(in_events) e));
  end if;
end
$function$;

-- leader/memory/set_intention
-- Purpose: notes an intention for a launched query. A cancel, a timeout and a pause are sent at
--   once. With any other status the query has a grace period of 5 seconds to end by itself, because
--   it usually has committed already.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.set_intention(
  in_worker int, in_now timestamptz, in_status async.finish_status_t, in_error text, in_duration interval,
  in_requested_by text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_worker s
  set intention = in_status, intention_error = in_error, intention_duration = in_duration, intention_by = in_requested_by,
      cancel_at = least(s.cancel_at,
        in_now + case when in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED') then interval '0' else interval '5 seconds' end)
  where s.worker = in_worker and async.intention_replaces(s.intention, s.intention_error, in_status);
end
$function$;

-- leader/stages/apply_requests
-- Purpose: applies the requests of clients: a running query gets an intention, which is recorded
--   when the query ends; any other task changes at once. It runs after results were read and before
--   they are recorded.
-- Returns: the number of requests that were applied.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.apply_requests(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_requests_per_cycle_max constant int := 1000;
  c_message_bytes_per_cycle_max constant int := 4194304;
  v_request record;
  v_events async.event_t[];
  v_backing_off int;
  v_dealt int := 0;
begin
  perform from async.request r limit 1;
  if not found then
    return 0;
  end if;

  -- Requests for running queries are kept until the outcome is recorded, so that they survive this
  -- leader.
  for v_request in
    select r.request_id, r.status, r.error_message, r.duration, r.requested_by, s.worker
    from pg_temp.leader_worker s
    join async.request r on r.task_id = s.task_id
    where s.state in ('claimed', 'running', 'ended', 'lost') and r.request_id <> all (s.request_ids)
    order by r.request_id
  loop
    perform async.set_intention(v_request.worker, in_now, v_request.status,
      async.request_message(v_request.status, v_request.error_message), v_request.duration,
      v_request.requested_by);
    update pg_temp.leader_worker s set request_ids = s.request_ids || v_request.request_id
    where s.worker = v_request.worker;
    v_dealt := v_dealt + 1;
  end loop;

  -- Of the other requests, the oldest of each task.
  v_events := array(
    select row(n.task_id, null, 'REQUEST', in_now, n.status, n.error_message, null, n.duration, null,
      array[n.request_id], null, n.requested_by)::async.event_t
    from (
      select distinct on (r.task_id) r.*
      from (
        select l.*,
          coalesce(sum(octet_length(l.error_message)) over (order by l.request_id rows between unbounded preceding
            and 1 preceding), 0) as bytes_before
        from (
          select i.* from async.request i
          where not exists (select from pg_temp.leader_worker s
              where s.task_id = i.task_id and s.state in ('claimed', 'running', 'ended', 'lost'))
            and not exists (select from pg_temp.leader_orphan o where o.task_id = i.task_id and not o.recorded)
            and not exists (select from pg_temp.leader_backoff p where p.task_id = i.task_id and p.until > in_now)
          order by i.request_id
          limit c_requests_per_cycle_max
        ) l
      ) r
      where r.bytes_before <= c_message_bytes_per_cycle_max
      order by r.task_id, r.request_id
    ) n
    order by n.request_id);
  if v_events = '{}' then
    return v_dealt;
  end if;
  select count(*) filter (where w.backs_off) into v_backing_off
  from async.leader_write(in_now, null, null, null, null, null, v_events) w;
  update pg_temp.leader_state set writes = writes + cardinality(v_events);
  return v_dealt + cardinality(v_events) - v_backing_off;
end
$function$;

-- leader/stages/enforce_deadlines
-- Purpose: handles overdue tasks: a running query gets an intention; a task whose target cannot be
--   reached is TIMED_OUT and keeps its pool slot; any other task ends at once, unless there is a
--   request about it. The stage before has read the requests, at most 1000 at a time: one that it
--   has left may be older than the deadline.
-- Returns: the number of tasks that ended.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.enforce_deadlines(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_due bigint[];
  v_events async.event_t[];
  v_row record;
  v_refused bigint[] := '{}';
  v_ids bigint[];
begin
  v_due := async.due_tasks(in_now, async.tasks_backing_off(in_now));
  if v_due is null then
    return 0;
  end if;

  perform async.set_intention(s.worker, in_now, 'TIMED_OUT', null, null, null)
  from pg_temp.leader_worker s
  where s.task_id = any (v_due) and s.state in ('running', 'lost') and s.intention is null;
  -- The request stays, but the grace period of the query is over.
  update pg_temp.leader_worker s
  set cancel_at = in_now
  where s.task_id = any (v_due) and s.state = 'running' and s.cancels = 0 and s.cancel_at > in_now;

  v_events := array(
    select case
      when s.worker is not null then row(i.task_id, s.run, 'UNREACHABLE', in_now, null,
        case s.intention when 'TIMED_OUT' then s.intention_error end, s.error, null, null, s.request_ids,
        null, case s.intention when 'TIMED_OUT' then s.intention_by end)::async.event_t
      when o.task_id is not null then row(i.task_id, o.run, 'UNREACHABLE', in_now, null, null,
        'outcome unknown: the orchestrator was lost while the query ran', null, null, null, null, null)::async.event_t
      else row(i.task_id, null, 'DEADLINE', in_now, null, null, null, null, null, null, null, null)::async.event_t
    end
    from unnest(v_due) i(task_id)
    left join pg_temp.leader_worker s on s.task_id = i.task_id
    left join pg_temp.leader_orphan o on o.task_id = i.task_id
    left join pg_temp.leader_target t on t.target = coalesce(s.target, o.target)
    -- The receipt of a lost run says how its task ends.
    where (s.worker is null and o.task_id is null
        or not exists (select from async.task k where k.task_id = i.task_id and k.receipt)) and (
      s.worker is null and o.task_id is null
        and not exists (select from async.request r where r.task_id = i.task_id)
      or s.state = 'lost' and not s.recorded and (s.unreachable or t.health is distinct from 'ok')
      or o.launched and not o.recorded and (t.health is distinct from 'ok'
        or exists (select from pg_temp.leader_fence f where f.target = o.target and f.unreachable))));
  if v_events = '{}' then
    return 0;
  end if;
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if v_row.processed is null or v_row.outcome <> 'rewritten' then
      v_refused := v_refused || v_row.task_id;
    end if;
  end loop;
  v_ids := array(
    select e.task_id from unnest(v_events) e where e.event = 'UNREACHABLE' and e.task_id <> all (v_refused));
  if v_ids <> '{}' then
    update pg_temp.leader_worker s set recorded = true where s.task_id = any (v_ids) and s.state = 'lost';
    update pg_temp.leader_orphan o set recorded = true where o.task_id = any (v_ids);
  end if;
  return cardinality(v_events) - cardinality(v_refused);
end
$function$;

-- leader/stages/record_results
-- Purpose: records the outcomes of queries, all in one call. A task whose row cannot be written
--   keeps its worker, and is retried with a backoff.
-- Returns: the number of tasks that were recorded.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.record_results(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_result_bytes_max constant int := 33554432;
  v_workers int[];
  v_ids bigint[];
  v_pools text[];
  v_ends bigint[];
  v_end_runs int[];
  v_events async.event_t[];
  v_row record;
  v_at int;
  v_done int[];
  v_released_pools text[] := '{}';
  v_recorded text;
begin
  select
    array_agg(s.worker), array_agg(s.task_id), array_agg(s.pool),
    array_agg(s.task_id) filter (where s.plain), array_agg(s.run) filter (where s.plain),
    array_agg(row(s.task_id, s.run,
        case when s.recorded then 'RELEASE' when s.outcome = 'ok' then 'END_OK' when s.outcome = 'lost' then 'END_UNKNOWN'
          when s.outcome = 'unsent' and s.intention is null then 'GIVE_BACK' else 'END_ERROR' end,
        in_now, s.intention, s.intention_error, s.error, s.intention_duration, s.timeout, s.request_ids,
        case when s.outcome = 'ok' and s.sent = 'kept' and not s.recorded then coalesce(s.result,
          '{"error": "the orchestrator was interrupted, or the target answered nothing"}') end,
        s.intention_by)::async.event_t)
      filter (where not s.plain)
  into v_workers, v_ids, v_pools, v_ends, v_end_runs, v_events
  from (
    select i.*, coalesce(i.outcome = 'ok', false) and i.intention is null and not i.recorded and i.sent is distinct from 'kept'
        as plain,
      case when i.outcome = 'unsent' then coalesce(t.default_timeout, c.default_timeout) end as timeout
    from pg_temp.leader_worker i
    cross join async.control c
    left join pg_temp.leader_target t on t.target = i.target
    where i.state = 'ended' and i.retry_at <= in_now
      -- The results that are written at once have a limit, because they are in memory then.
      and (i.result is null or c_result_bytes_max >= (
        select coalesce(sum(octet_length(o.result)), 0)
        from pg_temp.leader_worker o
        where o.state = 'ended' and o.retry_at <= in_now and (o.since, o.worker) < (i.since, i.worker)))
    order by i.since, i.worker
  ) s;
  if v_workers is null then
    return 0;
  end if;

  v_done := v_workers;
  for v_row in select w.* from async.leader_write(in_now, null, null, null, v_ends, v_end_runs, v_events) w loop
    v_at := array_position(v_ids, v_row.task_id);
    if v_row.backs_off then
      v_done := array_remove(v_done, v_workers[v_at]);
      update pg_temp.leader_worker s
      set tries = s.tries + 1, retry_at = p.until
      from pg_temp.leader_backoff p
      where p.task_id = s.task_id and s.worker = v_workers[v_at];
    elsif v_row.outcome in ('rejected', 'gone') and (v_row.tracked and v_row.processed is null
        and (v_row.consumed is not null or v_row.yielded is not null)) is not true then
      -- A row that the event did not fit (a user finished or deleted it) frees its worker as well.
      v_released_pools := v_released_pools || v_pools[v_at];
    end if;
  end loop;
  if v_released_pools <> '{}' then
    perform async.release_pools(v_released_pools);
  end if;
  if v_done <> '{}' then
    perform async.free_workers(v_done);
  end if;
  -- A setting, which the maintenance adds to the counters: a row that changes in each cycle would have
  -- many dead versions while a snapshot is held (async.compact_memory).
  v_recorded := set_config('pgasync.recorded',
    (coalesce(nullif(current_setting('pgasync.recorded', true), ''), '0')::int + cardinality(v_workers))::text, false);
  return cardinality(v_done);
end
$function$;

-- leader/stages/promote_deferred
-- Purpose: promotes tasks whose deferral has ended, so that they join the queue.
-- Returns: the number of tasks.
-- Raises: nothing because of a single task. A task that cannot be written goes into backoff.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.promote_deferred(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_ids constant bigint[] := async.deferred_tasks(in_now, async.tasks_backing_off(in_now));
  v_backing_off int;
begin
  if v_ids is null then
    return 0;
  end if;
  select count(*) filter (where w.backs_off) into v_backing_off
  from async.leader_write(in_now, null, null, null, null, null, array(
    select row(i, null, 'PROMOTE', in_now, null, null, null, null, null, null, null, null)::async.event_t
    from unnest(v_ids) i)) w;
  return cardinality(v_ids) - v_backing_off;
end
$function$;

-- leader/stages/resolve_orphans
-- Purpose: resolves the tasks of lost leaders. Claims that were not sent return to the queue at
--   once. Launched tasks wait until every session of the registry at their target is gone. Then
--   their outcome is that of their receipt, or unknown: they fail, unless a request says otherwise. Those that timed out
--   before release their pool slots then.
-- Returns: the number of tasks.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.resolve_orphans(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_orphans_per_cycle_max constant int := 500;
  v_events async.event_t[];
  v_row record;
  v_over bigint[];
  v_given_back int;
begin
  if not exists (select from pg_temp.leader_orphan) then
    return 0;
  end if;
  v_events := array(
    select async.orphan_event(o.task_id, o.run, o.launched, o.recorded, o.target, in_now, o.resolved, o.known, o.result)
    from (
      select i.* from pg_temp.leader_orphan i
      where (not i.launched or not exists (select from pg_temp.leader_fence f where f.target = i.target))
        and not exists (select from pg_temp.leader_backoff p where p.task_id = i.task_id and p.until > in_now)
      order by i.task_id
      limit c_orphans_per_cycle_max
    ) o);
  if v_events = '{}' then
    return 0;
  end if;
  v_over := array(select e.task_id from unnest(v_events) e);
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if v_row.backs_off then
      v_over := array_remove(v_over, v_row.task_id);
    end if;
  end loop;
  delete from pg_temp.leader_orphan o where o.task_id = any (v_over);
  select count(*) filter (where e.event = 'GIVE_BACK') into v_given_back
  from unnest(v_events) e where e.task_id = any (v_over);
  if v_given_back > 0 then
    perform async.log_quiet('NOTICE',
      format('gave back %s tasks that a lost orchestrator had claimed but not sent', v_given_back));
  end if;
  if cardinality(v_over) > v_given_back then
    perform async.log_quiet('NOTICE',
      format('resolved %s tasks of a lost orchestrator', cardinality(v_over) - v_given_back));
  end if;
  return cardinality(v_over);
end
$function$;

-- leader/stages/orphan_event
-- Purpose: the event for a task of a lost leader, with the requests for it. in_resolved, in_known and in_result
--   are what is known by its receipt.
-- Returns: the event.
-- Raises: nothing.
-- Locks: none.
create or replace function async.orphan_event(
  in_id bigint, in_run int, in_launched bool, in_recorded bool, in_target text, in_now timestamptz,
  in_resolved text, in_known text, in_result text
) returns async.event_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_event async.event_t;
  v_request record;
begin
  v_event.task_id := in_id;
  v_event.run := in_run;
  v_event.at := in_now;
  if not in_launched then
    v_event.event := 'GIVE_BACK';
    v_event.timeout := (
      select coalesce(g.default_timeout, c.default_timeout)
      from async.control c left join async.target g on g.target = in_target);
    return v_event;
  end if;
  v_event.event := case when in_recorded then 'RELEASE' when in_resolved = 'ok' then 'END_OK'
    when in_resolved = 'error' then 'END_ERROR' else 'END_UNKNOWN' end;
  if in_resolved is distinct from 'ok' then
    v_event.known := coalesce(in_known, 'outcome unknown: the orchestrator was lost while the query ran');
  end if;
  v_event.result := in_result;
  v_event.requests := '{}';
  for v_request in select r.* from async.request r where r.task_id = in_id order by r.request_id loop
    v_event.requests := v_event.requests || v_request.request_id;
    if async.intention_replaces(v_event.status, v_event.message, v_request.status) then
      v_event.status := v_request.status;
      v_event.message := async.request_message(v_request.status, v_request.error_message);
      v_event.duration := v_request.duration;
      v_event.requested_by := v_request.requested_by;
    end if;
  end loop;
  return v_event;
end
$function$;

-- leader/memory/poll_snapshot
-- Purpose: the snapshot that a poll remembers. The present transaction counts as open: what it makes
--   READY after the poll (a trigger of a user may push tasks) is an arrival of the next poll.
-- Returns: a snapshot for async.lead_arrivals.
-- Raises: nothing.
-- Locks: none.
create or replace function async.poll_snapshot()
returns txid_snapshot
language plpgsql
as $function$
declare
  v_snapshot constant txid_snapshot := txid_current_snapshot();
  v_own constant bigint := txid_current_if_assigned();
begin
  if v_own is null or v_own >= txid_snapshot_xmax(v_snapshot) then
    return v_snapshot;
  end if;
  return (
    select format('%s:%s:%s', min(i.id), txid_snapshot_xmax(v_snapshot), string_agg(i.id::text, ',' order by i.id))
    from (select o.id from txid_snapshot_xip(v_snapshot) as o(id) union select v_own) i)::txid_snapshot;
end
$function$;

-- leader/memory/note_fronts
-- Purpose: notes that lanes have waiting tasks behind the given positions: lanes that are not in the
--   memory of the leader are added, with their pools, and a position that lies before the known one
--   replaces it. A known position before the given one stays.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_fronts(in_fronts async.lane_t[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  -- Only what changes: "do update" with a condition would lock the other rows, which takes a
  -- transaction id.
  insert into pg_temp.leader_lane as l (pool, target, pullable, after_priority, after_entered, after_id)
  select distinct on (f.pool, f.target, f.pullable)
    f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id
  from unnest(in_fronts) f
  left join pg_temp.leader_lane o on o.pool = f.pool and o.target = f.target and o.pullable = f.pullable
  where o.pool is null or o.exhausted
    or (f.after_priority, f.after_entered, f.after_id) < (o.after_priority, o.after_entered, o.after_id)
  order by f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id
  on conflict (pool, target, pullable) do update
  set after_priority = excluded.after_priority, after_entered = excluded.after_entered, after_id = excluded.after_id,
      exhausted = false;
  if found then
    insert into pg_temp.leader_pool (pool, max_workers, spacing, started_at, paused)
    select n.pool, async.pool_limit(n.pool), async.pool_spacing(n.pool), s.led_since, async.is_paused(n.pool, null)
    from (select distinct f.pool from unnest(in_fronts) f) n
    cross join pg_temp.leader_state s
    left join pg_temp.leader_pool p on p.pool = n.pool
    where p.pool is null;
  end if;
end
$function$;

-- leader/memory/return_to_lanes
-- Purpose: lets waiting tasks be found again whose backoff has ended, because the positions of their
--   lanes may be behind them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.return_to_lanes(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
declare
  v_ids bigint[];
begin
  v_ids := array(select b.task_id from pg_temp.leader_backoff b where b.until <= in_now and b.out_of_lane);
  perform async.note_fronts(array(
    select row(coalesce(t.concurrency_pool, t.target), t.target, t.query is null, t.priority, t.entered, t.task_id - 1,
      null, null)::async.lane_t
    from async.task t
    where t.task_id = any (v_ids) and (async.waits_for_launch(t) or async.waits_for_offer(t))));
  update pg_temp.leader_backoff b set out_of_lane = false where b.task_id = any (v_ids);
end
$function$;

-- leader/memory/note_bounds
-- Purpose: notes what a read of lanes has found: in_left has waiting tasks that were not claimed, as
--   positions before them. The position of a lane becomes the one before the first of them. A lane
--   without such a task is exhausted: it has no waiting tasks, except those in backoff.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_bounds(in_lanes async.lane_t[], in_left async.lane_t[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
-- Each lane is looked up in the index: a hash join would read all lanes.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $function$
begin
  update pg_temp.leader_lane l
  set after_priority = coalesce((n.first).after_priority, l.after_priority),
      after_entered = coalesce((n.first).after_entered, l.after_entered),
      after_id = coalesce((n.first).after_id, l.after_id),
      exhausted = n.first is null
  from (
    select p.pool, p.target, p.pullable,
      (array_agg(p.place order by p.after_priority, p.after_entered, p.after_id) filter (where p.is_left))[1] as first
    from (
      select r.pool, r.target, r.pullable, r.after_priority, r.after_entered, r.after_id, r as place, false as is_left
      from unnest(in_lanes) r
      union all
      select f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id, f, true
      from unnest(in_left) f
    ) p
    group by p.pool, p.target, p.pullable
    having not bool_and(p.is_left)
  ) n
  where l.pool = n.pool and l.target = n.target and l.pullable = n.pullable
    and (n.first is null
      or ((n.first).after_priority, (n.first).after_entered, (n.first).after_id)
        <> (l.after_priority, l.after_entered, l.after_id));
end
$function$;

-- leader/memory/claimable_lanes
-- Purpose: the lanes of which the leader may claim or offer a task now, at most in_max of them, in the
--   order of their positions: those with a free pool slot, whose pool may start a task now, and whose
--   target can run it. Paused pools and targets have none. in_pools has the
--   pools of the tasks that were chosen in this cycle already, and the other arguments are those of
--   async.claimable_targets. The cost grows with the lanes that are read: the returned ones, and those
--   before them whose pool is full or whose target runs nothing.
-- Returns: the lanes, each with its free pool slots and the number of tasks that its target takes;
--   their targets with the default timeouts; and the position of the next lane: the tasks of all lanes
--   that are left out for in_max are behind it (null: none is left out).
-- Raises: nothing.
-- Locks: none.
create or replace function async.claimable_lanes(
  in_now timestamptz, in_workers int, in_max int, in_pools text[], in_targets text[], in_closed text[],
  in_strict bool, in_first bool,
  out lanes async.lane_t[], out targets text[], out timeouts interval[],
  out next_priority int, out next_entered timestamptz, out next_id bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
-- The lanes are read in the order of their index until enough are found, and the pool of each one is
-- looked up: a sort, a hash or a merge join would read all of them.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_targets record;
begin
  v_targets := async.claimable_targets(in_now, in_workers, in_targets, in_closed, in_strict, in_first);
  select
    array_agg(row(n.pool, n.target, n.pullable, n.after_priority, n.after_entered, n.after_id, n.free,
      v_targets.heads_max[n.target_at])::async.lane_t) filter (where n.place <= in_max),
    array_agg(n.target) filter (where n.place <= in_max),
    array_agg(v_targets.timeouts[n.target_at]) filter (where n.place <= in_max),
    max(n.after_priority) filter (where n.place > in_max),
    max(n.after_entered) filter (where n.place > in_max),
    max(n.after_id) filter (where n.place > in_max)
  into lanes, targets, timeouts, next_priority, next_entered, next_id
  from (
    select c.*, row_number() over () as place, array_position(v_targets.targets, c.target) as target_at
    from (
      select l.pool, l.target, l.pullable, l.after_priority, l.after_entered, l.after_id,
        case when p.spacing is null then p.max_workers - p.taken - cardinality(array_positions(in_pools, l.pool))
          else 1 end as free
      from pg_temp.leader_lane l
      join pg_temp.leader_pool p on p.pool = l.pool
      where not l.exhausted and not p.paused
        and l.target = any (case when l.pullable then v_targets.targets else v_targets.running end)
        and (not l.pullable or p.offers_held_until <= in_now)
        and p.taken + cardinality(array_positions(in_pools, l.pool)) < p.max_workers
        -- A pool that limits its starts has one task on its way to its start.
        and (p.spacing is null
          or p.started_at + p.spacing <= in_now and l.pool <> all (in_pools)
            and not exists (select from pg_temp.leader_worker s where s.pool = l.pool and s.state = 'claimed')
            -- An offer that a client took is noted first (async.yield_offers), with the time of the start.
            and not p.offered
            and not exists (select from async.offer o where o.pool = l.pool))
      order by l.after_priority, l.after_entered, l.after_id
      limit in_max + 1
    ) c
  ) n;
end
$function$;

-- leader/memory/claimable_targets
-- Purpose: what each target takes now. in_targets has the targets of the tasks that were chosen in this
--   cycle already. Targets in in_closed take nothing. Without in_strict, a target takes no more tasks
--   than it has idle sessions, if a further session would take the place of a session at another
--   target.
-- Returns: all targets that are not paused, each with its default timeout and the number of tasks that it takes (null: no
--   limit of its own), and in running those at which a task can run.
-- Raises: nothing.
-- Locks: none.
create or replace function async.claimable_targets(
  in_now timestamptz, in_workers int, in_targets text[], in_closed text[], in_strict bool, in_first bool,
  out targets text[], out timeouts interval[], out heads_max int[], out running text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set enable_mergejoin = off
as $function$
declare
  v_may_block constant bool := async.may_block_again(in_now);
  v_may_identify constant bool := async.may_identify_more();
  v_replaces constant bool := not in_strict and (
    select count(*) >= (select c.workers from async.control c)
    from pg_temp.leader_worker s where s.state <> 'empty' and not s.unreachable);
begin
  select array_agg(t.target), array_agg(t.default_timeout), array_agg(t.heads_max),
    coalesce(array_agg(t.target) filter (where t.runs), '{}')
  into targets, timeouts, heads_max, running
  from (
    select a.target, a.default_timeout,
      -- A target at which no further session is opened is used with the sessions that it has. Of
      -- those above a lower limit, the idle ones are about to be closed.
      least(
        case when v_replaces and a.sessions > 0 or not a.opens then a.idle when not a.identified then a.idle + 1 end,
        greatest(a.idle + a.max_sessions - a.sessions, case when a.max_sessions is not null then 0 end))
        - coalesce(v.tasks, 0) as heads_max,
      in_workers > 0 and (a.opens or a.idle > 0) and (not a.reads_slowly or v_may_block)
        and a.target <> all (in_closed)
        -- The first round sees which task waits for a session. Later ones leave out the lanes at such
        -- targets, of which there may be many before all others.
        and (not v_replaces or in_first or a.sessions = 0 or a.idle > coalesce(v.tasks, 0))
        and not exists (select from pg_temp.leader_fence f where f.target = a.target and f.older) as runs
    from (
      select t.target, t.default_timeout, t.max_sessions, t.identified, t.reads_slowly,
        coalesce(i.idle, 0) as idle, coalesce(i.sessions, 0) as sessions,
        -- The tasks of a target that opens no session now take no workers from others.
        t.health = 'ok' and (not t.connects_slowly or v_may_block)
          and (t.identified or i.identifying is not true and (v_may_identify or t.session_failures = 0))
          and (t.max_sessions is null or coalesce(i.sessions, 0) < t.max_sessions) as opens
      from pg_temp.leader_target t
      left join (
        select s.target, count(*) filter (where s.state in ('idle', 'cleaning'))::int as idle,
          bool_or(s.state = 'identifying') as identifying, count(*)::int as sessions
        from pg_temp.leader_worker s
        where s.state <> 'empty'
        group by s.target
      ) i on i.target = t.target
      where not t.paused
    ) a
    left join (
      select n.target, count(*)::int as tasks from unnest(in_targets) n(target) group by n.target
    ) v on v.target = a.target
  ) t;
end
$function$;

-- leader/memory/forget_unused
-- Purpose: forgets pools without tasks, and targets that were deleted and are not used any more. The
--   next task of a pool adds it again.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.forget_unused()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
declare
  c_share constant float8 := 20;
  v_began constant timestamptz := clock_timestamp();
begin
  delete from pg_temp.leader_pool p
  where p.taken = 0 and p.offers_held_until <= clock_timestamp()
    and (p.spacing is null or p.started_at + p.spacing <= clock_timestamp())
    and not exists (select from pg_temp.leader_lane l where l.pool = p.pool);
  delete from pg_temp.leader_target t
  where not t.configured
    and not exists (select from pg_temp.leader_lane l where l.target = t.target)
    and not exists (select from pg_temp.leader_worker s where s.target = t.target)
    and not exists (select from pg_temp.leader_helper h where h.target = t.target)
    and not exists (select from pg_temp.leader_fence f where f.target = t.target)
    and not exists (select from pg_temp.leader_orphan o where o.target = t.target);
  perform async.note_done('forgot', v_began + c_share * (clock_timestamp() - v_began));
end
$function$;

-- leader/memory/lanes_of_lost_targets
-- Purpose: the lanes whose tasks have to fail because their target is deleted (unknown), or has been
--   down for longer than target_patience and is not paused.
-- Returns: the lanes, with the error of their target.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lanes_of_lost_targets(in_now timestamptz)
returns table (pool text, target text, unknown bool, last_error text, target_patience interval)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
#variable_conflict use_column
begin
  return query
  -- A target that was configured a moment ago is not in the memory of the leader yet.
  select l.pool, l.target, g.target is null as unknown, t.last_error, c.target_patience
  from pg_temp.leader_lane l
  cross join async.control c
  left join async.target g on g.target = l.target
  left join pg_temp.leader_target t on t.target = l.target
  where not l.exhausted and not l.pullable
    and (g.target is null
      or t.health <> 'ok' and not t.paused and t.down_since <= in_now - c.target_patience
        and not async.references_secret(t.connection_string)
        and not exists (select from pg_temp.leader_worker s
          where s.target = l.target and s.state in ('idle', 'claimed', 'running', 'ended', 'cleaning')));
end
$function$;

-- leader/memory/compact_memory
-- Purpose: gives back the space of dead rows in the tables of the leader, which nothing vacuums: up to
--   Postgres 13 a snapshot that another session holds keeps the dead versions of temporary tables, too.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: its temporary tables. (A table is truncated, which writes WAL, so it has to have grown a lot.)
create or replace function async.compact_memory()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_tables constant name[] := '{leader_worker,leader_pool,leader_lane,leader_target,leader_state,leader_backoff}';
  -- A row with many dead versions is slow to read, so the tables with few rows have a lower limit.
  c_worker_bytes_min constant bigint := 524288;
  c_bytes_min constant bigint := 131072;
  c_growth constant bigint := 3;
  v_table name;
  v_compact bigint;
  v_rows jsonb;
begin
  foreach v_table in array c_tables loop
    v_compact := coalesce(nullif(current_setting('pgasync.compact_' || v_table, true), ''), '0')::bigint;
    continue when pg_total_relation_size(format('pg_temp.%I', v_table)::regclass) <= greatest(
      case v_table when 'leader_worker' then c_worker_bytes_min else c_bytes_min end, c_growth * v_compact);
    execute format('select jsonb_agg(to_jsonb(r)) from pg_temp.%I r', v_table) into v_rows;
    execute format('truncate pg_temp.%I', v_table);
    execute format('insert into pg_temp.%1$I select r.* from jsonb_populate_recordset(null::pg_temp.%1$I, $1) r', v_table)
    using coalesce(v_rows, '[]');
    perform set_config('pgasync.compact_' || v_table,
      pg_total_relation_size(format('pg_temp.%I', v_table)::regclass)::text, false);
  end loop;
end
$function$;

-- leader/stages/poll
-- Purpose: a poll: reads the tasks that became READY since the last poll (async.lead_arrivals), and
--   those whose backoff has ended, and notes the fronts of their lanes. The setting pgasync.polled_to
--   has the snapshot of the last poll; without it, and after a very large number of arrivals, all lanes
--   are read. It is a setting, so the error of a stage undoes the poll.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.poll(in_now timestamptz, in_lanes bool)
returns void
language plpgsql
as $function$
declare
  c_arrivals_max constant int := 1000;
  -- The lanes of so many are read in about 40 ms.
  c_arrivals_of_lanes_max constant int := 50000;
  c_lanes_max constant int := 1000000;
  v_since constant text := case when in_lanes then '' else coalesce(current_setting('pgasync.polled_to', true), '') end;
  -- It precedes all reads. What becomes visible after it is an arrival of the next poll.
  v_polled constant text := async.poll_snapshot()::text;
  v_fronts async.lane_t[];
  v_arrivals bigint;
  v_set text;
begin
  if v_since <> '' then
    -- Tasks that wait for a time are promoted when it has come.
    select array_agg(row(a.pool, a.target, a.pullable, a.priority, a.entered, a.task_id - 1, null, null)::async.lane_t)
        filter (where a.eligible_when is null),
      count(*)
    into v_fronts, v_arrivals
    from async.lead_arrivals(v_since::txid_snapshot, c_arrivals_max + 1) a;
    if v_arrivals > c_arrivals_max then
      v_fronts := async.arrival_lanes(v_since::txid_snapshot, c_arrivals_of_lanes_max);
    end if;
  end if;
  if v_since = '' or v_arrivals > c_arrivals_max and v_fronts is null then
    v_fronts := array(select f from async.lane_fronts(false, '', '', c_lanes_max) f)
      || array(select f from async.lane_fronts(true, '', '', c_lanes_max) f);
  end if;
  if v_fronts is not null then
    perform async.note_fronts(v_fronts);
  end if;
  if exists (select from pg_temp.leader_backoff b where b.until <= in_now and b.out_of_lane) then
    perform async.return_to_lanes(in_now);
  end if;
  v_set := set_config('pgasync.polled_to', v_polled, false);
  if coalesce(current_setting('pgasync.polled', true), '') = '' then
    v_set := set_config('pgasync.polled', '1', false);
  end if;
end
$function$;

-- leader/stages/run_schedules
-- Purpose: fires the schedules that are due (async.fire_schedules), and notes when the next one is.
-- Returns: nothing.
-- Raises: nothing because of a single schedule.
-- Locks: as async.fire_schedules.
create or replace function async.run_schedules(in_now timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.note_next_firing(async.fire_schedules(in_now));
end
$function$;

-- leader/stages/review_lanes
-- Purpose: reads a part of the lanes from their fronts, one part after the other, because a poll does
--   not see what users change by hand. Forgets lanes of that part that have no waiting tasks any more.
--   A held snapshot makes the fronts expensive to read, so the reviews take a small share of the time.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.review_lanes()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
declare
  c_lanes_max constant int := 250;
  c_share constant float8 := 40;
  c_pause_min constant interval := '200 milliseconds';
  v_began constant timestamptz := clock_timestamp();
  -- The kind of the lanes, and the last lane of the part before.
  v_at constant text[] := coalesce(nullif(current_setting('pgasync.reviewed_to', true), ''), '{false,"",""}');
  v_pullable constant bool := v_at[1];
  v_fronts async.lane_t[];
  v_last async.lane_t;
begin
  v_fronts := array(select f from async.lane_fronts(v_pullable, v_at[2], v_at[3], c_lanes_max) f);
  if cardinality(v_fronts) = c_lanes_max then
    v_last := v_fronts[c_lanes_max];
  end if;
  delete from pg_temp.leader_lane l
  where l.pullable = v_pullable and (l.pool, l.target) > (v_at[2], v_at[3])
    and (v_last.pool is null or (l.pool, l.target) <= (v_last.pool, v_last.target))
    and not exists (select from unnest(v_fronts) f where f.pool = l.pool and f.target = l.target);
  perform async.note_fronts(v_fronts);
  perform set_config('pgasync.reviewed_to',
    case when v_last.pool is null then array[(not v_pullable)::text, '', '']
      else array[v_pullable::text, v_last.pool, v_last.target] end::text, false);
  perform async.note_done('reviewed', greatest(v_began + c_pause_min,
    clock_timestamp() + c_share * (clock_timestamp() - v_began)));
end
$function$;

-- leader/stages/write_claims
-- Purpose: writes claims, and updates the memory with the resulting rows: the workers of the tasks,
--   and the occupancy of the pools. in_claims is in the order of the plan. Nothing is sent before the
--   commit.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_claims(in_now timestamptz, in_claims async.claim_t[])
returns void
language plpgsql
as $function$
declare
  v_row record;
  v_ids bigint[];
  v_runs int[];
  v_timeouts interval[];
  v_claimed bigint[];
begin
  select array_agg(c.task_id order by c.ordinality), array_agg(c.run order by c.ordinality),
    array_agg(c.timeout order by c.ordinality)
  into v_ids, v_runs, v_timeouts
  from unnest(in_claims) with ordinality c;
  v_claimed := v_ids;
  for v_row in
    select w.* from async.leader_write(in_now, v_ids, v_runs, v_timeouts, null, null, null) w
  loop
    -- A trigger may have changed a claim. Only a task that is RUNNING now is launched.
    if (v_row.outcome = 'rewritten' and v_row.consumed is not null and v_row.processed is null and v_row.yielded is null
        and v_row.run = v_runs[array_position(v_ids, v_row.task_id)] + 1) is not true then
      v_claimed := array_remove(v_claimed, v_row.task_id);
    end if;
  end loop;

  update pg_temp.leader_worker s
  set state = 'claimed', task_id = c.task_id, run = c.run + 1, pool = c.pool, since = in_now
  from unnest(in_claims) c
  where s.worker = c.worker and c.task_id = any (v_claimed);
  update pg_temp.leader_pool p set taken = p.taken + n.claimed
  from (
    select c.pool, count(*)::int as claimed from unnest(in_claims) c where c.task_id = any (v_claimed) group by c.pool
  ) n
  where p.pool = n.pool;
end
$function$;

-- leader/stages/claim_tasks
-- Purpose: claims the tasks that run next: reads the first lanes, asks the plan, assigns idle sessions,
--   notes how many sessions each target needs more, and writes the claims. Tasks that clients pull are
--   offered instead. Tasks behind the position of a lane that was not read are left for a further round.
-- Returns: the number of tasks that were claimed or offered.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
-- (Longer than a screen: one pass over lanes and heads.)
create or replace function async.claim_tasks(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  -- A lane is read again in a further round only if others are before it, or if more of its tasks are
  -- claimed than a round has read. The first round reads one more task of a lane than its share in the
  -- workers, or than was claimed of a lane in the last cycles (the session setting pgasync.claim_depth, which
  -- doubles when a round has read too few), and each further one eight times as many.
  c_rounds_max constant int := 8;
  c_lanes_more constant int := 16;
  c_depth_decay constant float8 := 0.97;
  c_depth_max constant float8 := 64;
  -- A task waits while the sessions of its target are busy and every other session is at another target.
  -- Its target gets a further session when tasks of the same priority overtake it that are so far behind it:
  -- while the distance grows, and otherwise once a second, since one session needs time to catch up.
  c_overtaking_max constant float8 := 1000;
  c_entered_later_max constant interval := '1 second';
  c_move_every constant interval := '50 milliseconds';
  c_move_to_same_every constant interval := '1 second';
  v_skip constant bigint[] := async.tasks_backing_off(in_now);
  v_workers int;
  v_default interval;
  v_expected constant float8 := coalesce(nullif(current_setting('pgasync.claim_depth', true), ''), '1')::float8;
  v_depth int := 0;
  v_cut bool := false;
  v_lanes record;
  v_head record;
  v_idle record;
  v_at int;
  v_beyond bool;
  v_strict bool := false;
  -- The first task that waits for a session.
  v_waits_priority int;
  v_waits_entered timestamptz;
  v_waits_id bigint;
  v_waits_target text;
  v_may_move bool;
  v_distance float8;
  v_more bool := false;
  v_claim async.claim_t;
  v_round async.claim_t[];
  v_claims async.claim_t[] := '{}';
  v_left async.lane_t[];
  v_pools text[] := '{}';
  v_targets text[] := '{}';
  v_moved text[];
  v_wanted text[] := '{}';
  v_offered bigint[] := '{}';
begin
  select c.workers, c.default_timeout into v_workers, v_default from async.control c;
  v_workers := greatest(v_workers
    - (select count(*)::int from pg_temp.leader_worker s where s.task_id is not null and not s.unreachable)
    -- The launched tasks of a lost leader may still run at their targets. Those at a host that does
    -- not answer do not count against the workers.
    - (select count(*)::int from pg_temp.leader_orphan o
      where o.launched
        and not exists (select from pg_temp.leader_fence f where f.target = o.target and f.unreachable)), 0);
  v_may_move := coalesce((select max(t.session_moved_at) + c_move_every <= in_now from pg_temp.leader_target t), true);
  update pg_temp.leader_target t set wanted = 0 where t.wanted <> 0;

  for v_number in 1..c_rounds_max loop
    v_lanes := async.claimable_lanes(in_now, v_workers, v_workers + c_lanes_more, v_pools, v_targets, v_wanted, v_strict,
      v_number = 1);
    exit when v_lanes.lanes is null;
    if v_number = 1 then
      v_idle := async.find_idle_sessions();
    end if;
    v_round := '{}';
    v_left := '{}';
    v_beyond := false;
    v_depth := greatest(v_depth * 8, ceil(v_workers::float8 / cardinality(v_lanes.lanes)), ceil(v_expected));
    for v_head in
      select p.* from async.plan_claims(v_lanes.lanes, v_workers, v_skip, in_now, v_depth) p
    loop
      -- Tasks that were not read, of these lanes or of others, may be before it.
      v_cut := v_cut or v_head.place = -1 is true and not v_beyond;
      v_beyond := v_beyond or v_head.place = -1 is true or (v_head.priority, v_head.entered, v_head.task_id)
        > (v_lanes.next_priority, v_lanes.next_entered, v_lanes.next_id) is true;
      if v_head.place = 0 and (v_waits_id is null
        or (v_head.priority, v_head.entered, v_head.task_id) < (v_waits_priority, v_waits_entered, v_waits_id))
      then
        v_waits_priority := v_head.priority;
        v_waits_entered := v_head.entered;
        v_waits_id := v_head.task_id;
        v_waits_target := v_head.target;
      elsif v_head.place > 0 and not v_head.pullable and not v_strict and v_waits_id is not null then
        if v_head.priority > v_waits_priority then
          v_strict := true;
          v_beyond := true;
        elsif v_may_move then
          v_distance := greatest((v_head.task_id - v_waits_id) / c_overtaking_max,
            extract(epoch from v_head.entered - v_waits_entered) / extract(epoch from c_entered_later_max));
          if v_distance > 1 then
            v_may_move := false;
            update pg_temp.leader_target t set overtaken_by = v_distance, session_moved_at = in_now
            where t.target = v_waits_target
              and (t.overtaken_by < v_distance or t.session_moved_at + c_move_to_same_every <= in_now);
            if found then
              v_workers := v_workers - 1;
              v_wanted := v_wanted || v_waits_target;
            end if;
          end if;
        end if;
      end if;
      if v_beyond or v_head.place > 0 is not true or v_workers < 1 and not v_head.pullable then
        v_left := v_left || row(v_head.pool, v_head.target, v_head.pullable, v_head.priority, v_head.entered,
          v_head.task_id - 1, null, null)::async.lane_t;
        continue;
      end if;
      v_pools := v_pools || v_head.pool;
      if v_head.pullable then
        v_offered := v_offered || v_head.task_id;
        continue;
      end if;
      v_workers := v_workers - 1;
      v_targets := v_targets || v_head.target;
      v_at := array_position(v_idle.targets, v_head.target);
      if v_at is null then
        v_wanted := v_wanted || v_head.target;
        v_left := v_left || row(v_head.pool, v_head.target, v_head.pullable, v_head.priority, v_head.entered,
          v_head.task_id - 1, null, null)::async.lane_t;
        continue;
      end if;
      v_idle.targets[v_at] := null;
      v_round := v_round || row(v_head.task_id, v_head.run, v_idle.workers[v_at], v_head.pool, v_head.target,
        v_head.priority, v_head.entered,
        coalesce(v_lanes.timeouts[array_position(v_lanes.targets, v_head.target)], v_default))::async.claim_t;
    end loop;

    -- A target may have got another address since its sessions were opened. Its tasks may have been
    -- pushed after that, so they wait for a session at the new address. The addresses are read after
    -- the tasks.
    v_moved := array(
      select s.target
      from unnest(v_round) c
      join pg_temp.leader_worker s on s.worker = c.worker
      left join async.target t on t.target = s.target
      where t.connection_string is distinct from s.address);
    if v_moved <> '{}' then
      foreach v_claim in array v_round loop
        if v_claim.target = any (v_moved) then
          perform async.drop_session(v_claim.worker);
          v_round := array_remove(v_round, v_claim);
          v_left := v_left || row(v_claim.pool, v_claim.target, false, v_claim.priority, v_claim.entered,
            v_claim.task_id - 1, null, null)::async.lane_t;
        end if;
      end loop;
      v_wanted := v_wanted || v_moved;
    end if;
    v_claims := v_claims || v_round;
    perform async.note_bounds(v_lanes.lanes, v_left);
    exit when v_workers < 1;
    -- Without a further lane, and with all tasks read that may be claimed, no task is left, unless it waits
    -- for a session.
    if v_lanes.next_priority is null and not v_beyond then
      exit when v_strict or v_waits_id is null;
      v_strict := true;
    end if;
    v_more := v_number = c_rounds_max;
  end loop;

  if v_cut or v_expected > 1 then
    perform set_config('pgasync.claim_depth', (case when v_cut then least(ceil(v_expected) * 2, c_depth_max)
      else greatest(v_expected * c_depth_decay, 1) end)::text, false);
  end if;
  if v_wanted <> '{}' then
    update pg_temp.leader_target t set wanted = n.wanted
    from (select w.target, count(*)::int as wanted from unnest(v_wanted) w(target) group by w.target) n
    where t.target = n.target;
  end if;
  if v_claims <> '{}' then
    perform async.write_claims(in_now, v_claims);
  end if;
  if v_offered <> '{}' then
    perform async.write_offers(in_now, v_offered);
  end if;
  -- Lanes whose tasks are gone may be before many others. Then the next cycle goes on at once.
  return cardinality(v_claims) + cardinality(v_offered) + v_more::int;
end
$function$;

-- leader/stages/write_offers
-- Purpose: offers tasks to the clients that pull them. Each offer holds a pool slot until the task
--   is taken and finished, or the offer is withdrawn.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_offers(in_now timestamptz, in_ids bigint[])
returns void
language plpgsql
as $function$
declare
  v_events async.event_t[];
  v_row record;
  v_offered bigint[] := in_ids;
begin
  v_events := array(
    select row(r.task_id, null, 'OFFER', in_now, null, null, null, null, coalesce(g.default_timeout, c.default_timeout),
      null, null, null)::async.event_t
    from async.lead_rows(in_ids) r
    left join async.target g on g.target = r.target
    cross join async.control c);
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if (v_row.outcome = 'rewritten' and v_row.tracked and v_row.processed is null) is not true then
      v_offered := array_remove(v_offered, v_row.task_id);
    end if;
  end loop;
  update pg_temp.leader_pool p set taken = p.taken + n.offered, offered = p.spacing is not null
  from (
    select r.pool, count(*)::int as offered from async.lead_rows(v_offered) r group by r.pool
  ) n
  where p.pool = n.pool;
end
$function$;

-- leader/stages/yield_offers
-- Purpose: withdraws offers: all of a paused pool or target; and in a full pool with waiting queries,
--   those that no client has taken for one second. The pool then makes no offers for two seconds. Notes the starts of offered tasks
--   in pools that limit them; a withdrawn offer counts, too.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.offer and async.task that it changes; never waits for one.
create or replace function async.yield_offers(in_now timestamptz)
returns void
language plpgsql
as $function$
declare
  c_hold constant interval := '2 seconds';
  v_ids bigint[];
  v_pools text[];
  v_kept bigint[];
  v_paused bigint[];
begin
  v_paused := array(
    select o.task_id
    from async.offer o
    left join pg_temp.leader_pool p on p.pool = o.pool
    left join pg_temp.leader_target t on t.target = o.target
    where (p.paused or t.paused)
      and not exists (select from pg_temp.leader_backoff k where k.task_id = o.task_id and k.until > in_now));
  if v_paused <> '{}' then
    perform from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, 'WITHDRAW', in_now, null, null, null, null, null, null, null, null)::async.event_t
      from unnest(v_paused) i));
  end if;
  if (select s.limits_starts from pg_temp.leader_state s) then
    update pg_temp.leader_pool p
    set offered = n.offers, started_at = case when n.offers then p.started_at else in_now end
    from (
      select i.pool, exists (select from async.offer o where o.pool = i.pool) as offers
      from pg_temp.leader_pool i
      where i.spacing is not null
    ) n
    where n.pool = p.pool and n.offers <> p.offered;
  end if;
  select array_agg(o.task_id), array_agg(o.pool) into v_ids, v_pools
  from async.offer o
  join pg_temp.leader_pool p on p.pool = o.pool
  where not p.paused and p.taken >= p.max_workers and o.offered < in_now - interval '1 second'
    and not exists (select from pg_temp.leader_backoff k where k.task_id = o.task_id and k.until > in_now)
    and exists (select from pg_temp.leader_lane l
      where l.pool = o.pool and not l.pullable and not l.exhausted);
  if v_ids is null then
    return;
  end if;
  v_kept := array(
    select w.task_id
    from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, 'WITHDRAW', in_now, null, null, null, null, null, null, null, null)::async.event_t
      from unnest(v_ids) i)) w);
  update pg_temp.leader_pool p set offers_held_until = in_now + c_hold
  where p.pool in (
    select i.pool from unnest(v_ids, v_pools) i(task_id, pool) where i.task_id <> all (v_kept));
end
$function$;

-- leader/stages/rotate_marks
-- Purpose: starts the launch marks anew, with marks of all tasks that are claimed or launched (see
--   async.lead_rotate_marks).
-- Returns: nothing.
-- Raises: as async.lead_rotate_marks.
-- Locks: as async.lead_rotate_marks.
create or replace function async.rotate_marks()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[];
  v_runs int[];
begin
  select array_agg(m.task_id), array_agg(m.run) into v_ids, v_runs
  from (
    select s.task_id, s.run from pg_temp.leader_worker s
    where s.state in ('claimed', 'running', 'ended', 'lost') and s.task_id is not null
    union all
    select o.task_id, o.run from pg_temp.leader_orphan o where o.launched
  ) m;
  perform async.lead_rotate_marks(l.epoch, v_ids, v_runs) from pg_temp.leader_state l;
  update pg_temp.leader_state set marks = 0;
end
$function$;

-- leader/stages/mark_launches
-- Purpose: marks the launches of all claimed tasks (see async.write_marks), and notes the receipts of those that
--   have one.
-- Returns: the number of marks.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
create or replace function async.mark_launches()
returns int
language plpgsql
as $function$
declare
  v_claimed record;
  v_state record;
  v_noted text;
begin
  select array_agg(s.task_id) as ids, array_agg(s.run) as runs, array_agg(s.session_id) as sessions into v_claimed
  from pg_temp.leader_worker s where s.state = 'claimed';
  select async.write_marks(l.epoch, v_claimed.ids, v_claimed.runs, v_claimed.sessions)::text, l.receipts into v_state
  from pg_temp.leader_state l;
  if v_state.receipts then
    perform async.note_receipt(s.task_id, s.run, s.session_id, s.target)
    from pg_temp.leader_worker s
    join async.task t on t.task_id = s.task_id and t.receipt
    where s.state = 'claimed';
  end if;
  v_noted := async.note_tasks('started', v_claimed.ids);
  return coalesce(cardinality(v_claimed.ids), 0);
end
$function$;

-- leader/election/take_stock
-- Purpose: takes over what the last leader left: claims that were not sent return to the queue at
--   once, launched tasks are orphans until their target is fenced, sessions of older epochs are to
--   be ended, and the pools are counted.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.take_stock()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[];
  v_launched bool[];
begin
  insert into pg_temp.leader_fence (session_id, target, older)
  select s.session_id, s.target, true from async.session s;
  select array_agg(s.task_id), array_agg(s.launched) into v_ids, v_launched from async.lead_stock() s;
  insert into pg_temp.leader_orphan (task_id, run, target, pool, launched, recorded)
  select r.task_id, r.run, r.target, r.pool, s.launched, r.processed is not null
  from unnest(v_ids, v_launched) as s(task_id, launched)
  join async.lead_rows(v_ids) r on r.task_id = s.task_id
  -- YIELDED, pulled and offered tasks run no query.
  where r.processed is not null or r.consumed is not null and r.yielded is null and not r.client_pulled;
  perform async.resolve_orphans(clock_timestamp());
  perform async.rotate_marks();
  perform async.recount_pools();
end
$function$;

-- leader/election/begin_lead
-- Purpose: begins the lead of the SQL engine, after async.take_locks: raises the epoch, creates the
--   memory, connects to this server itself, and takes stock of what the last leader left.
-- Returns: nothing.
-- Raises: PA206 when this server cannot connect to itself; the errors of async.raise_epoch.
-- Locks: as async.raise_epoch; waits up to ten seconds for a table that a client has locked.
create or replace function async.begin_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $function$
declare
  v_epoch bigint;
  v_error text;
begin
  select r.out_epoch into v_epoch from async.raise_epoch('sql') r;

  perform async.create_leader_state();
  perform async.make_all_due();
  insert into pg_temp.leader_state (epoch, server_id, self_conninfo, fingerprint)
  select l.epoch, l.server_id, async.extend_conninfo(async.self_conninfo(), jsonb_build_object(
    'application_name', async.session_name('helper'), 'connect_timeout', '3')),
    async.schema_fingerprint()
  from async.leader l;
  perform async.close_own_connections();
  perform async.refresh_configuration();
  v_error := async.open_watchdog();
  if v_error is not null then
    raise exception 'the orchestrator cannot connect to its own server: %', v_error
      using errcode = 'PA206',
        hint = 'Set a connection string that works from the server itself, with a password if one is asked for: '
          'select async.configure(''{"control": {"self_connection_string": "host=localhost password=..."}}'')';
  end if;
  perform async.take_stock();
  perform async.log_quiet('NOTICE', format('leading: SQL engine, epoch %s, pid %s', v_epoch, pg_backend_pid()));
end
$function$;

-- leader/stages/publish
-- Purpose: publishes the memory of the leader for the views: the task of each worker, the occupancy
--   of each pool, and the lost targets. Writes only changed rows, so an idle leader writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.publish()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_share constant float8 := 40;
  v_began constant timestamptz := clock_timestamp();
begin
  perform async.publish_state(
    array(
      select row(s.worker, '', s.target, s.task_id, case when s.task_id is not null then s.since end)::async.worker
      from pg_temp.leader_worker s),
    array(select row(p.pool, p.taken, p.max_workers)::async.concurrency_pool_tracker from pg_temp.leader_pool p),
    array(
      select row(t.target, t.down_since, t.last_error, t.retry_at)::async.target_outage
      from pg_temp.leader_target t where t.down_since is not null));
  -- Many pools take long. The next time is late enough to keep that share.
  perform async.note_done('published', v_began + c_share * (clock_timestamp() - v_began));
end
$function$;

-- leader/stages/call_routine
-- Purpose: runs one routine of the user, and checks the constraints that it deferred, because the
--   commit of the leader must not fail.
-- Returns: nothing.
-- Raises: the errors of the routine and of the constraints.
-- Locks: the locks of the routine. (The search path is control.trigger_search_path, which the
--   routine inherits: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.call_routine(in_call text, in_defer text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  execute in_call;
  perform async.check_constraints(in_defer);
end
$function$;

-- leader/stages/run_routines
-- Purpose: runs the routines of users in the leader session. The error of a routine is logged (the
--   same error once a minute), and the next routine runs. Routines cannot commit.
-- Returns: the number of routines that succeeded.
-- Raises: nothing.
-- Locks: the locks of the routines.
create or replace function async.run_routines(_routine_type async.routine_type_t)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_routine text;
  v_ran int := 0;
  v_message text;
  v_defer text;
begin
  foreach v_routine in array coalesce((
    select case _routine_type when 'STARTUP' then c.startup_routines else c.loop_routines end
    from async.control c), '{}')
  loop
    begin
      v_defer := coalesce(v_defer, async.defer_constraints(), '');
      perform async.call_routine('call ' || async.routine_call(v_routine), nullif(v_defer, ''));
      v_ran := v_ran + 1;
    exception when assert_failure or others then
      v_message := async.visible_text(async.mask_text(
        format('routine %s raised %s: %s', v_routine, sqlstate, sqlerrm)));
      perform from async.server_log l
      where l.happened > clock_timestamp() - interval '1 minute' and l.message = v_message;
      if not found then
        perform async.log_quiet('WARNING', v_message);
      end if;
    end;
  end loop;
  return v_ran;
end
$function$;

-- leader/stages/fail_tasks_of_lost_targets
-- Purpose: fails tasks that have waited for longer than target_patience for a target that was down
--   so long, with the error of the connection; and tasks of targets that were deleted. Tasks of
--   targets that only the Rust engine can reach wait for it.
-- Returns: the number of tasks.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.fail_tasks_of_lost_targets(in_now timestamptz)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_lane record;
  v_ids bigint[];
  v_failed int := 0;
begin
  for v_lane in
    select l.* from async.lanes_of_lost_targets(in_now) l
  loop
    v_ids := async.waiting_tasks(v_lane.pool, v_lane.target,
      case when v_lane.unknown then in_now else in_now - v_lane.target_patience end,
      async.tasks_backing_off(in_now));
    continue when v_ids is null;
    perform from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, case when v_lane.unknown then 'REQUEST' else 'GIVE_UP' end, in_now, 'FAILED',
        case when v_lane.unknown then format('target "%s" does not exist', v_lane.target)
          else format('target "%s" could not be reached for %s: %s', v_lane.target, v_lane.target_patience,
            v_lane.last_error) end, null, null, null, null, null, null)::async.event_t
      from unnest(v_ids) i));
    v_failed := v_failed + cardinality(v_ids);
  end loop;
  return v_failed;
end
$function$;

-- leader/stages/waiting_tasks
-- Purpose: READY tasks of a lane that could run before a time, in the order of the queue.
-- Returns: at most 1000 ids; null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.waiting_tasks(
  in_pool text, in_target text, in_before timestamptz, in_skip bigint[]
) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  return (
    select array_agg(w.task_id)
    from (
      select t.task_id from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_launch(t)
        and greatest(t.entered, t.run_at) <= in_before and t.task_id <> all (in_skip)
      order by t.priority, t.entered, t.task_id
      limit 1000
    ) w);
end
$function$;

-- leader/stages/maintain
-- Purpose: keeps the upkeep running, and keeps the memory of the leader small and right.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.maintain(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_marks_max constant int := 50000;
  v_recorded constant int := coalesce(nullif(current_setting('pgasync.recorded', true), ''), '0');
begin
  if v_recorded > 0 then
    update pg_temp.leader_state set writes = writes + v_recorded, marks = marks + v_recorded;
    perform set_config('pgasync.recorded', '', false);
  end if;
  if async.is_due('recounted', (select c.light_maintenance_sleep from async.control c), in_now) then
    perform async.recount_pools();
    delete from pg_temp.leader_backoff p where p.until < in_now - interval '5 minutes';
  end if;
  if (select l.marks > c_marks_max from pg_temp.leader_state l) then
    perform async.rotate_marks();
  end if;
  perform async.run_upkeep(in_now);
end
$function$;

-- schedules/refuse_schedule
-- Purpose: raises the error that refuses the times of a schedule.
-- Returns: nothing; it always raises.
-- Raises: PA0A0.
-- Locks: none.
create or replace function async.refuse_schedule(in_when text, in_problem text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception 'schedule "%": %', in_when, in_problem
    using errcode = 'PA0A0',
          hint = 'Write five or six fields ([second] minute hour day month weekday), @daily, or "every 30 seconds".';
end
$function$;

-- schedules/cron_value
-- Purpose: reads one value of a field of a cron expression, a number or a name.
-- Returns: the number.
-- Raises: PA0A0.
-- Locks: none.
create or replace function async.cron_value(
  in_when text, in_name text, in_text text, in_min int, in_max int, in_names text[]
)
returns int
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The first name is that of 0 for weekdays, and of 1 for months.
  v_value int := case
    when in_text ~ '^[0-9]+$' then in_text::int
    else array_position(in_names, lower(in_text)) - 1 + case when in_names[1] = 'jan' then 1 else 0 end
  end;
begin
  if v_value is null then
    perform async.refuse_schedule(in_when, format('"%s" is no name of a %s', in_text, in_name));
  end if;
  if v_value not between in_min and in_max then
    perform async.refuse_schedule(in_when,
      format('%s is no %s: it is from %s to %s', v_value, in_name, in_min, in_max));
  end if;
  return v_value;
end
$function$;

-- schedules/parse_cron_field
-- Purpose: reads one field of a cron expression: values, names, ranges and steps, with commas.
--   Not what only a field of days may have (L, $), which the caller takes out first.
-- Returns: the values in order.
-- Raises: PA0A0.
-- Locks: none.
create or replace function async.parse_cron_field(
  in_when text, in_name text, in_field text, in_min int, in_max int, in_names text[]
)
returns int[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_item text;
  v_parts text[];
  v_from int;
  v_to int;
  v_step int;
  v_values int[] := '{}';
begin
  foreach v_item in array string_to_array(in_field, ',') loop
    v_parts := regexp_match(v_item, '^([*]|[0-9]{1,4}|[a-z]{3})(-([0-9]{1,4}|[a-z]{3}))?(/([0-9]{1,4}))?$', 'i');
    if v_parts is null then
      perform async.refuse_schedule(in_when, format('"%s" is no value, range or step of the %s', v_item, in_name));
    end if;
    v_step := v_parts[5];
    if v_parts[1] = '*' then
      if v_parts[3] is not null then
        perform async.refuse_schedule(in_when, format('"%s": a range of the %s begins with a value', v_item, in_name));
      end if;
      v_from := in_min;
      v_to := in_max;
    else
      v_from := async.cron_value(in_when, in_name, v_parts[1], in_min, in_max, in_names);
      v_to := case when v_parts[3] is null then v_from
        else async.cron_value(in_when, in_name, v_parts[3], in_min, in_max, in_names) end;
      if v_parts[3] is null and v_step is not null then
        perform async.refuse_schedule(in_when,
          format('"%s": a step needs a range, such as %s-%s/%s', v_item, v_from, in_max, v_step));
      end if;
    end if;
    if v_from > v_to then
      perform async.refuse_schedule(in_when, format('"%s": the range of the %s runs backwards', v_item, in_name));
    end if;
    if v_step = 0 then
      perform async.refuse_schedule(in_when, format('"%s": the step of the %s is 0', v_item, in_name));
    end if;
    v_values := v_values || array(select generate_series(v_from, v_to, coalesce(v_step, 1)));
  end loop;
  return array(select distinct v from unnest(v_values) v order by v);
end
$function$;

-- schedules/parse_when
-- Purpose: reads the times of a schedule: a cron expression of five or six fields (with seconds in
--   front), one of its abbreviations, or an interval such as "every 30 seconds".
-- Returns: the values of each field.
-- Raises: PA0A0.
-- Locks: none.
-- (Longer than a screen: the fields, in order.)
create or replace function async.parse_when(in_when text)
returns async.cron_t
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_interval_max constant interval := '1000000 hours';
  c_months constant text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
  c_weekdays constant text[] := '{sun,mon,tue,wed,thu,fri,sat}';
  v_text text := lower(btrim(regexp_replace(in_when, '[[:space:]]+', ' ', 'g')));
  v_parts text[];
  v_fields text[];
  v_days text[];
  v_cron async.cron_t;
begin
  if v_text is null or octet_length(in_when) > 1000 then
    perform async.refuse_schedule(left(in_when, 50), 'it is null or longer than 1000 bytes');
  end if;
  v_parts := regexp_match(v_text, '^(?:every )?([0-9]{1,9}) ?(second|minute|hour)s?$');
  if v_parts is not null then
    v_cron.every := (v_parts[1] || ' ' || v_parts[2])::interval;
    if v_cron.every <= '0' or v_cron.every > c_interval_max then
      perform async.refuse_schedule(in_when, 'the interval is 0 or too long');
    end if;
    return v_cron;
  end if;
  v_text := case v_text
    when '@yearly' then '0 0 1 1 *' when '@annually' then '0 0 1 1 *' when '@monthly' then '0 0 1 * *'
    when '@weekly' then '0 0 * * 0' when '@daily' then '0 0 * * *' when '@midnight' then '0 0 * * *'
    when '@hourly' then '0 * * * *' else v_text end;
  v_fields := string_to_array(v_text, ' ');
  if cardinality(v_fields) = 5 then
    v_fields := array['0'] || v_fields;
  elsif cardinality(v_fields) <> 6 then
    perform async.refuse_schedule(in_when, format('it has %s fields', cardinality(v_fields)));
  end if;
  v_cron.seconds := async.parse_cron_field(in_when, 'second', v_fields[1], 0, 59, '{}');
  v_cron.minutes := async.parse_cron_field(in_when, 'minute', v_fields[2], 0, 59, '{}');
  v_cron.hours := async.parse_cron_field(in_when, 'hour', v_fields[3], 0, 23, '{}');
  -- The last day of the month: L, or $ as in pg_cron.
  v_days := string_to_array(v_fields[4], ',');
  v_cron.last_day := 'l' = any (v_days) or '$' = any (v_days);
  v_days := array_remove(array_remove(v_days, 'l'), '$');
  v_cron.days := case when v_days = '{}' then '{}'
    else async.parse_cron_field(in_when, 'day', array_to_string(v_days, ','), 1, 31, '{}') end;
  v_cron.months := async.parse_cron_field(in_when, 'month', v_fields[5], 1, 12, c_months);
  -- The last such weekday of the month: 5L.
  v_days := array(select d from unnest(string_to_array(v_fields[6], ',')) d where d !~ '^([0-7]|[a-z]{3})l$');
  v_cron.last_weekdays := array(
    select async.cron_value(in_when, 'weekday', left(d, -1), 0, 7, c_weekdays) % 7
    from unnest(string_to_array(v_fields[6], ',')) d where d ~ '^([0-7]|[a-z]{3})l$');
  v_cron.weekdays := case when v_days = '{}' then '{}'
    else array(
      -- 7 is Sunday, as 0 is.
      select distinct w % 7 as w
      from unnest(async.parse_cron_field(in_when, 'weekday', array_to_string(v_days, ','), 0,
        case when array_to_string(v_days, ',') ~ '^[*]' then 6 else 7 end, c_weekdays)) w
      order by w) end;
  -- As in cron: both fields of days count where one of them begins with *, and either one otherwise.
  v_cron.either_day := v_fields[4] !~ '^[*]' and v_fields[6] !~ '^[*]';
  -- Cron fires at each matching minute of the zone where minute or hour has a *.
  v_cron.fixed := v_fields[2] !~ '[*]' and v_fields[3] !~ '[*]';
  return v_cron;
end
$function$;

-- schedules/next_cron_day
-- Purpose: the first day from a day on that a cron expression matches.
-- Returns: a date; null when no day of the next 50 years matches (29 February on a given weekday
--   comes within 40).
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_cron_day(in_cron async.cron_t, in_from date)
returns date
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_months_max constant int := 12 * 50;
  v_month date := date_trunc('month', in_from::timestamp)::date;
  v_last date;
  v_day date;
  v_in_days bool;
  v_in_weekdays bool;
begin
  for v_n in 0..c_months_max loop
    if extract(month from v_month)::int = any (in_cron.months) then
      v_last := (v_month + interval '1 month')::date - 1;
      v_day := greatest(v_month, in_from);
      while v_day <= v_last loop
        v_in_days := extract(day from v_day)::int = any (in_cron.days) or in_cron.last_day and v_day = v_last;
        v_in_weekdays := extract(dow from v_day)::int = any (in_cron.weekdays)
          or extract(dow from v_day)::int = any (in_cron.last_weekdays) and v_day > v_last - 7;
        if v_in_days and v_in_weekdays or in_cron.either_day and (v_in_days or v_in_weekdays) then
          return v_day;
        end if;
        v_day := v_day + 1;
      end loop;
    end if;
    v_month := (v_month + interval '1 month')::date;
  end loop;
  return null;
end
$function$;

-- schedules/next_cron_local
-- Purpose: the first local time from a time on that a cron expression matches, on a calendar without
--   time zones. in_from has whole seconds.
-- Returns: a timestamp; null when the expression matches no day.
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_cron_local(in_cron async.cron_t, in_from timestamp)
returns timestamp
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_day date := async.next_cron_day(in_cron, in_from::date);
  v_hour int := 0;
  v_minute int := 0;
  v_second int := 0;
  v_found int;
begin
  if v_day = in_from::date then
    v_hour := extract(hour from in_from);
    v_minute := extract(minute from in_from);
    v_second := extract(second from in_from);
    select min(s) into v_found from unnest(in_cron.seconds) s where s >= v_second;
    if v_found is null then
      v_minute := v_minute + 1;
      v_second := 0;
    end if;
    select min(m) into v_found from unnest(in_cron.minutes) m where m >= v_minute;
    if v_found is null then
      v_hour := v_hour + 1;
      v_second := 0;
      v_minute := 0;
    elsif v_found > v_minute then
      v_second := 0;
      v_minute := v_found;
    end if;
    select min(h) into v_found from unnest(in_cron.hours) h where h >= v_hour;
    if v_found is null then
      v_day := async.next_cron_day(in_cron, v_day + 1);
      v_hour := 0;
      v_minute := 0;
      v_second := 0;
    elsif v_found > v_hour then
      v_hour := v_found;
      v_minute := 0;
      v_second := 0;
    end if;
  end if;
  return v_day + make_time(
    (select min(h) from unnest(in_cron.hours) h where h >= v_hour),
    (select min(m) from unnest(in_cron.minutes) m where m >= v_minute),
    (select min(s) from unnest(in_cron.seconds) s where s >= v_second));
end
$function$;

-- schedules/next_offset_change
-- Purpose: the moment between two moments at which the offset of a time zone changes. The offsets at
--   the two moments differ, and both have whole seconds.
-- Returns: the first moment with the offset of in_late.
-- Raises: invalid_parameter_value for an unknown time zone.
-- Locks: none.
create or replace function async.next_offset_change(in_early timestamptz, in_late timestamptz, in_time_zone text)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_offset constant interval := (in_early at time zone in_time_zone) - (in_early at time zone 'UTC');
  v_early timestamptz := in_early;
  v_late timestamptz := in_late;
  v_middle timestamptz;
begin
  while v_late > v_early + interval '1 second' loop
    v_middle := v_early + make_interval(secs => floor(extract(epoch from v_late - v_early)::float8 / 2));
    if (v_middle at time zone in_time_zone) - (v_middle at time zone 'UTC') = v_offset then
      v_early := v_middle;
    else
      v_late := v_middle;
    end if;
  end loop;
  return v_late;
end
$function$;

-- schedules/first_instant
-- Purpose: the first moment at which the clocks of a time zone show a local time. In a gap, where no
--   clock shows it, the end of the gap.
-- Returns: timestamptz.
-- Raises: invalid_parameter_value for an unknown time zone.
-- Locks: none.
create or replace function async.first_instant(in_local timestamp, in_time_zone text)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- No zone changes its offset twice within this time.
  c_around constant interval := '26 hours';
  v_utc constant timestamptz := in_local at time zone 'UTC';
  v_before constant timestamptz := v_utc - c_around;
  v_after constant timestamptz := v_utc + c_around;
  v_offset_before constant interval := (v_before at time zone in_time_zone) - (v_before at time zone 'UTC');
  v_offset_after constant interval := (v_after at time zone in_time_zone) - (v_after at time zone 'UTC');
  v_early constant timestamptz := v_utc - greatest(v_offset_before, v_offset_after);
  v_late constant timestamptz := v_utc - least(v_offset_before, v_offset_after);
begin
  if v_early at time zone in_time_zone = in_local then
    return v_early;
  elsif v_late at time zone in_time_zone = in_local then
    return v_late;
  end if;
  return async.next_offset_change(v_early, v_late, in_time_zone);
end
$function$;

-- schedules/next_time
-- Purpose: the next time of a schedule after a time. Both engines use it.
--   Cron expressions count in the time zone. Without a * in minute and hour, a time that the clocks
--   skip fires once, after the gap, and a time that they show twice fires the first time. With a *,
--   each moment fires at which the clocks show a matching time. An interval counts from _after.
-- Returns: timestamptz; null when _after is null or infinite.
-- Raises: PA0A0 for a schedule that cannot be read or never fires; invalid_parameter_value for an
--   unknown time zone.
-- Locks: none.
create or replace function async.next_time(_when text, _time_zone text, _after timestamptz)
returns timestamptz
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_changes_max constant int := 1000;
  c_near constant interval := '1 day';
  v_cron constant async.cron_t := async.parse_when(_when);
  -- The first whole second after _after.
  v_from timestamptz := date_trunc('second', _after + interval '1 second');
  v_local timestamp;
  v_match timestamp;
  v_found timestamptz;
  v_near timestamptz;
begin
  if _after is null or not isfinite(_after) then
    return null;
  elsif v_cron.every is not null then
    return _after + v_cron.every;
  end if;
  v_local := v_from at time zone _time_zone;
  if v_cron.fixed then
    -- Not from the second after it, which may follow a gap.
    v_local := date_trunc('second', _after) at time zone _time_zone;
    loop
      v_match := async.next_cron_local(v_cron, v_local);
      exit when v_match is null;
      v_found := async.first_instant(v_match, _time_zone);
      if v_found > _after then
        return v_found;
      end if;
      v_local := v_match + interval '1 second';
    end loop;
  else
    for v_n in 1..c_changes_max loop
      v_match := async.next_cron_local(v_cron, v_local);
      exit when v_match is null;
      v_found := v_from + (v_match - v_local);
      v_near := least(v_found, v_from + c_near);
      if (v_near at time zone _time_zone) - (v_near at time zone 'UTC')
          <> v_local - (v_from at time zone 'UTC') then
        v_from := async.next_offset_change(v_from, v_near, _time_zone);
      elsif v_near = v_found then
        return v_found;
      else
        -- No clock shows a local time twice that is so far away, and none skips two days.
        v_from := greatest(v_near, v_found - 2 * c_near);
      end if;
      v_local := v_from at time zone _time_zone;
    end loop;
  end if;
  perform async.refuse_schedule(_when, 'it never fires');
end
$function$;

-- schedules/newest_time
-- Purpose: the last time of a schedule up to a time, of which in_first is one. Times are skipped by
--   bisection, so the number of steps grows with the logarithm of the gap.
-- Returns: timestamptz, from in_first to in_now.
-- Raises: as async.next_time.
-- Locks: none.
create or replace function async.newest_time(in_when text, in_time_zone text, in_first timestamptz, in_now timestamptz)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_every constant interval := (async.parse_when(in_when)).every;
  -- One of the times, and a time after which there is none up to in_now.
  v_low timestamptz := in_first;
  v_high timestamptz := in_now;
  v_middle timestamptz;
  v_next timestamptz;
begin
  if v_every is not null then
    return in_first + v_every * div(
      (extract(epoch from in_now - in_first)::numeric * 1000000)::bigint::numeric,
      (extract(epoch from v_every)::numeric * 1000000)::bigint::numeric)::float8;
  end if;
  loop
    v_next := async.next_time(in_when, in_time_zone, v_low);
    exit when v_next > v_high;
    v_low := v_next;
    -- In seconds, since days would depend on the time zone of the session.
    v_middle := v_low + make_interval(secs => extract(epoch from v_high - v_low)::float8 / 2);
    v_next := async.next_time(in_when, in_time_zone, v_middle);
    if v_next > v_high then
      v_high := v_middle;
    else
      v_low := v_next;
    end if;
  end loop;
  return v_low;
end
$function$;

-- schedules/decide_schedule
-- Purpose: decides which times of a schedule fire now. All times up to in_last are decided, and in_next
--   is the first one after it. in_times_max: how many may fire in this call.
--   catch_up all: each time that has come, in order; the rest in later calls. last: the newest one.
--   none: the newest one, unless it is more than a minute late.
--   A clock that was set back by more than an hour goes on from now. After a smaller step no time fires
--   before the clock shows the next one.
-- Returns: the times that fire; in_last and in_next as they are then; whether the clock was set back.
-- Raises: as async.next_time.
-- Locks: none.
create or replace function async.decide_schedule(
  in_when text, in_time_zone text, in_catch_up text, in_last timestamptz, in_next timestamptz, in_now timestamptz,
  in_times_max int,
  out out_fires timestamptz[], out out_last timestamptz, out out_next timestamptz, out out_set_back bool
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_set_back_min constant interval := '1 hour';
  c_late_max constant interval := '1 minute';
begin
  out_fires := '{}';
  out_last := in_last;
  out_next := in_next;
  out_set_back := in_last > in_now + c_set_back_min;
  if out_set_back then
    out_last := in_now;
    out_next := async.next_time(in_when, in_time_zone, in_now);
  elsif in_next > in_now or in_times_max <= 0 then
    null;
  elsif in_catch_up = 'all' then
    while out_next <= in_now and cardinality(out_fires) < in_times_max loop
      out_fires := out_fires || out_next;
      out_last := out_next;
      out_next := async.next_time(in_when, in_time_zone, out_last);
    end loop;
  else
    out_last := async.newest_time(in_when, in_time_zone, in_next, in_now);
    out_next := async.next_time(in_when, in_time_zone, out_last);
    if in_catch_up = 'last' or out_last >= in_now - c_late_max then
      out_fires := array[out_last];
    end if;
  end if;
end
$function$;

-- schedules/decide_overlap
-- Purpose: decides what a time of a schedule does at a target. in_unfinished: a task of the schedule at
--   the target has not finished. in_waiting: another time of the schedule waits there.
-- Returns: push; wait (for the end of the task); replace (cancel the task, and wait instead of the times
--   that wait); skip.
-- Raises: nothing.
-- Locks: none.
create or replace function async.decide_overlap(in_overlap text, in_unfinished bool, in_waiting bool) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_overlap = 'allow_all' then 'push'
    when in_overlap = 'cancel_other' then case when in_unfinished then 'replace' else 'push' end
    when not in_unfinished and not in_waiting then 'push'
    when in_overlap = 'buffer_all' or in_overlap = 'buffer_one' and not in_waiting then 'wait'
    else 'skip'
  end
$function$;

-- schedules/next_firing
-- Purpose: when the leader has to call async.fire_schedules next.
-- Returns: timestamptz; null when there is no schedule that is not paused; in_now after the clock was
--   set back (async.decide_schedule).
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_firing(in_now timestamptz) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  if exists (select from async.schedule s where s.last_time > in_now + interval '1 hour' and s.look_at is not null) then
    return in_now;
  end if;
  return (select s.look_at from async.schedule s where s.look_at is not null order by s.look_at limit 1);
end
$function$;

-- schedules/schedules_max
-- Purpose: the number of schedules that a role may have.
-- Returns: a number.
-- Raises: nothing. Locks: none.
create or replace function async.schedules_max() returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select 1000
$function$;

-- schedules/schedule_targets
-- Purpose: the targets of a schedule at this time: the target itself, or for tag:NAME the targets with
--   the tag that the owner may use, without retired ones.
-- Returns: their names, in order; empty if no target has the tag.
-- Raises: nothing.
-- Locks: none.
create or replace function async.schedule_targets(in_target text, in_scope async.scope_t) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_target not like 'tag:%' then
    return array[async.resolve_target(in_target)];
  end if;
  return array(
    select t.target from async.target t
    where substr(in_target, 5) = any (t.tags) and not t.retired and async.may_use_target(in_scope, t.target)
    order by t.target collate "C");
end
$function$;

-- schedules/schedule_is_unfinished
-- Purpose: whether a task of a schedule at a target has not finished. A task that waits for its next
--   attempt has not.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.schedule_is_unfinished(in_schedule text, in_target text) returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return exists (
    select from async.task t
    where t.schedule = in_schedule and t.target = in_target and t.schedule is not null and t.processed is null);
end
$function$;

-- schedules/is_passing_error
-- Purpose: whether the error of a firing may pass by itself: a lock, a deadlock, no memory or disk
--   space, an operator who intervenes, an error of the system.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_passing_error(in_sqlstate text) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_sqlstate = '55P03' or left(in_sqlstate, 2) in ('40', '53', '57', '58')
$function$;

-- schedules/describe_refusal
-- Purpose: the text of a refused firing, as the row and the log have it: without passwords and control
--   characters, and not long.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_refusal(in_sqlstate text, in_message text) returns text
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select left(async.visible_text(async.mask_text(
    format('%s: %s', in_sqlstate, regexp_replace(in_message, '^task 1: ', '')))), 1000)
$function$;

-- schedules/push_scheduled
-- Purpose: pushes the task of a schedule at a target for one of its times, for the role that owns the
--   schedule. With in_defer (see async.defer_constraints) deferred constraints are checked now.
-- Returns: the id of the task; null if a trigger kept the row out.
-- Raises: as async.push_tasks, and the errors of triggers and constraints.
-- Locks: those of triggers. (The search path is control.trigger_search_path, which user triggers
--   inherit: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.push_scheduled(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_target text, in_time timestamptz, in_defer text
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_id bigint;
begin
  insert into async.task (target, priority, entered, source, query, asynchronous_finish, task_data, concurrency_pool,
    manual_timeout, track_yielded, pushed_by, may_reach_self, expires_at, times_up, retry, attempt, receipt,
    schedule, scheduled_for)
  select p.out_target, p.out_priority, p.out_entered, in_schedule.source, p.out_query, p.out_asynchronous_finish,
    p.out_task_data, p.out_concurrency_pool, p.out_manual_timeout, p.out_track_yielded, in_owner, p.out_may_reach_self,
    p.out_entered operator(pg_catalog.+) in_schedule.expires_after,
    p.out_entered operator(pg_catalog.+) in_schedule.expires_after,
    case when in_schedule.receipt then async.receipt_policy(p.out_retry) else p.out_retry end,
    case when p.out_retry is not null or in_schedule.receipt then 0 end,
    case when in_schedule.receipt then async.check_receipt_target('', p.out_target) end,
    in_schedule.schedule, in_time
  from async.prepare_push(in_owner, in_scope, array[row(in_schedule.task_data, in_target, in_schedule.priority,
    in_schedule.query, in_schedule.concurrency_pool, in_schedule.timeout, in_schedule.track_yielded)::async.task_push_t],
    'EXECUTE', array[in_schedule.retry]) p
  returning task_id into v_id;
  perform async.check_constraints(in_defer);
  return v_id;
end
$function$;

-- schedules/cancel_scheduled
-- Purpose: asks the leader to cancel the unfinished tasks of a schedule at a target, as async.cancel
--   does, once.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.cancel_scheduled(in_schedule text, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  insert into async.request (task_id, status, error_message, requested_by)
  select t.task_id, 'CANCELED', format('canceled: the schedule %L fires again', in_schedule), null
  from async.task t
  where t.schedule = in_schedule and t.target = in_target and t.schedule is not null and t.processed is null
    and not exists (select from async.request r where r.task_id = t.task_id and r.status = 'CANCELED')
  order by t.task_id;
end
$function$;

-- schedules/fire_at_target
-- Purpose: pushes the task of a schedule, unless that is refused. An error that may pass by itself is
--   raised, so that the time stays due.
-- Returns: the id of the task (null: refused, or a trigger kept the row out), and the refusal.
-- Raises: an error of a class in c_passing.
-- Locks: as async.push_scheduled.
create or replace function async.fire_at_target(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_target text, in_time timestamptz, in_defer text,
  out out_task_id bigint, out out_refusal text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  out_task_id := async.push_scheduled(in_schedule, in_owner, in_scope, in_target, in_time, in_defer);
exception when assert_failure or others then
  if async.is_passing_error(sqlstate) then
    raise;
  end if;
  out_task_id := null;
  out_refusal := async.describe_refusal(sqlstate, sqlerrm);
end
$function$;

-- schedules/fire_waiting
-- Purpose: pushes the first waiting time of a schedule at each target at which its task has ended.
-- Returns: the number of tasks, the last of them with its time, and the refusals. A refused time waits
--   no longer.
-- Raises: as async.fire_at_target.
-- Locks: as async.push_scheduled.
create or replace function async.fire_waiting(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_defer text,
  out out_pushed int, out out_last_task bigint, out out_last_time timestamptz, out out_refusals text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_targets_max constant int := 1000;
  v_wait record;
  v_done record;
begin
  out_pushed := 0;
  out_refusals := '{}';
  for v_wait in
    select w.target, min(w.scheduled_for) as scheduled_for
    from async.schedule_wait w
    where w.schedule = in_schedule.schedule and not async.schedule_is_unfinished(in_schedule.schedule, w.target)
    group by w.target
    order by w.target collate "C"
    limit c_targets_max
  loop
    v_done := async.fire_at_target(in_schedule, in_owner, in_scope, v_wait.target, v_wait.scheduled_for, in_defer);
    delete from async.schedule_wait w
    where w.schedule = in_schedule.schedule and w.target = v_wait.target and w.scheduled_for = v_wait.scheduled_for;
    if v_done.out_refusal is null then
      out_pushed := out_pushed + 1;
      out_last_task := v_done.out_task_id;
      out_last_time := greatest(out_last_time, v_wait.scheduled_for);
    else
      out_refusals := out_refusals || v_done.out_refusal;
    end if;
  end loop;
end
$function$;

-- schedules/fire_time
-- Purpose: one time of a schedule at its targets, by its overlap policy.
-- Returns: what it did: how many tasks were pushed, the last of them, whether a target was skipped,
--   and the refusals.
-- Raises: as async.fire_at_target.
-- Locks: as async.push_scheduled.
create or replace function async.fire_time(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_targets text[], in_time timestamptz,
  in_defer text,
  out out_pushed int, out out_last_task bigint, out out_skipped bool, out out_refusals text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_target text;
  v_done record;
  v_what text;
begin
  out_pushed := 0;
  out_skipped := false;
  out_refusals := '{}';
  foreach v_target in array in_targets loop
    v_what := case when in_schedule.overlap = 'allow_all' then 'push'
      else async.decide_overlap(in_schedule.overlap, async.schedule_is_unfinished(in_schedule.schedule, v_target),
        exists (select from async.schedule_wait w where w.schedule = in_schedule.schedule and w.target = v_target)) end;
    if v_what = 'replace' then
      perform async.cancel_scheduled(in_schedule.schedule, v_target);
    end if;
    if in_schedule.overlap = 'cancel_other' then
      delete from async.schedule_wait w where w.schedule = in_schedule.schedule and w.target = v_target;
    end if;
    if v_what in ('wait', 'replace') then
      insert into async.schedule_wait (schedule, target, scheduled_for)
      values (in_schedule.schedule, v_target, in_time)
      on conflict do nothing;
    elsif v_what = 'skip' then
      out_skipped := true;
    else
      v_done := async.fire_at_target(in_schedule, in_owner, in_scope, v_target, in_time, in_defer);
      if v_done.out_refusal is null then
        out_pushed := out_pushed + 1;
        out_last_task := v_done.out_task_id;
      elsif v_done.out_refusal <> all (out_refusals) then
        out_refusals := out_refusals || v_done.out_refusal;
      end if;
    end if;
  end loop;
end
$function$;

-- schedules/fire_schedule
-- Purpose: fires one schedule: the waiting times whose targets are free, then the times that are due.
--   It advances the row in the same transaction. An error that may pass by itself changes nothing, and
--   the leader looks again a second later; any other error of the row, a minute later.
-- Returns: the number of tasks that were pushed.
-- Raises: nothing because of the schedule.
-- Locks: as async.push_scheduled. The caller has locked the row.
-- (Longer than a screen: what the steps found becomes one update.)
create or replace function async.fire_schedule(
  in_schedule async.schedule, in_now timestamptz, in_pushes_max int, in_defer text
) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_times_max constant int := 100;
  c_waiting_max constant int := 1000;
  c_look_again constant interval := '1 second';
  c_look_after_error constant interval := '1 minute';
  c_log_every constant interval := '1 minute';
  v_owner name;
  v_scope async.scope_t;
  v_targets text[];
  v_waiting bigint;
  v_decision record;
  v_done record;
  v_time timestamptz;
  v_pushed int := 0;
  v_refusals text[] := '{}';
  v_refusal text;
  v_next async.schedule := in_schedule;
begin
  begin
    v_owner := (select r.rolname from pg_roles r where r.oid = in_schedule.owner);
    v_scope := case when async.is_owner(v_owner) then row('{*}', true)::async.scope_t
      else async.granted_scope(v_owner) end;
    v_targets := async.schedule_targets(in_schedule.target, v_scope);
    select count(*) into v_waiting from async.schedule_wait w where w.schedule = in_schedule.schedule;
    if v_owner is null then
      v_refusals := array[async.describe_refusal('PA0A6',
        format('the role %s, which owns the schedule, does not exist', in_schedule.owner))];
      delete from async.schedule_wait w where w.schedule = in_schedule.schedule;
    elsif v_waiting > 0 then
      v_done := async.fire_waiting(in_schedule, v_owner, v_scope, in_defer);
      v_pushed := v_done.out_pushed;
      v_refusals := v_done.out_refusals;
      v_next.last_task_id := coalesce(v_done.out_last_task, v_next.last_task_id);
      v_next.last_fired := greatest(v_done.out_last_time, v_next.last_fired);
    end if;

    v_decision := async.decide_schedule(in_schedule."when", in_schedule.time_zone, in_schedule.catch_up,
      in_schedule.last_time, in_schedule.next_time, in_now,
      -- Times that find no room to wait in stay due.
      case when in_schedule.overlap = 'buffer_all' and v_waiting >= c_waiting_max then 0
        else greatest(1, least(c_times_max, in_pushes_max / greatest(cardinality(v_targets), 1))) end);
    if v_decision.out_set_back then
      perform async.log_quiet('WARNING', format(
        'the schedule %L goes on from %s: the clock was set back, it had fired up to %s',
        in_schedule.schedule, in_now, in_schedule.last_time));
    end if;
    v_next.last_time := v_decision.out_last;
    v_next.next_time := v_decision.out_next;
    if v_owner is not null and v_targets = '{}' and v_decision.out_fires <> '{}' then
      v_refusals := v_refusals || async.describe_refusal('PA0A6',
        format('no target that %I may use has the tag %L', v_owner, substr(in_schedule.target, 5)));
    end if;
    foreach v_time in array case when v_owner is null then '{}' else v_decision.out_fires end loop
      v_done := async.fire_time(in_schedule, v_owner, v_scope, v_targets, v_time, in_defer);
      v_pushed := v_pushed + v_done.out_pushed;
      v_refusals := v_refusals || v_done.out_refusals;
      v_next.last_task_id := coalesce(v_done.out_last_task, v_next.last_task_id);
      if v_done.out_pushed > 0 then
        v_next.last_fired := v_time;
      end if;
      if v_done.out_skipped then
        v_next.last_skipped := v_time;
      end if;
    end loop;
    select count(*) into v_waiting from async.schedule_wait w where w.schedule = in_schedule.schedule;
    v_next.look_at := case
      when v_waiting = 0 then v_next.next_time
      when v_waiting >= c_waiting_max then in_now + c_look_again
      else least(v_next.next_time, in_now + c_look_again) end;
  exception when assert_failure or others then
    v_pushed := 0;
    v_next := in_schedule;
    v_refusals := array[async.describe_refusal(sqlstate, sqlerrm)];
    v_next.look_at := in_now
      + case when async.is_passing_error(sqlstate) then c_look_again else c_look_after_error end;
  end;

  if v_refusals <> '{}' then
    v_refusal := left(array_to_string(array(select distinct r from unnest(v_refusals) r order by r), '; '), 4000);
    if v_refusal is distinct from in_schedule.last_refusal
      or in_schedule.refusal_logged is null or in_schedule.refusal_logged not between in_now - c_log_every and in_now
    then
      perform async.log_quiet('WARNING', format('the schedule %L did not push: %s', in_schedule.schedule, v_refusal));
      v_next.refusal_logged := in_now;
    end if;
    v_next.last_refusal := v_refusal;
    v_next.last_refused := in_now;
  end if;
  update async.schedule s set
    last_time = v_next.last_time,
    next_time = v_next.next_time,
    look_at = v_next.look_at,
    last_fired = v_next.last_fired,
    last_task_id = v_next.last_task_id,
    last_skipped = v_next.last_skipped,
    last_refused = v_next.last_refused,
    last_refusal = v_next.last_refusal,
    refusal_logged = v_next.refusal_logged
  where s.schedule = in_schedule.schedule;
  return v_pushed;
end
$function$;

-- schedules/fire_schedules
-- Purpose: fires the schedules that are due, for both engines, in a transaction of the leader. A row
--   that another transaction has locked is left for a later call, and so is what exceeds the limits.
-- Returns: when to call it next; null when there is no schedule that is not paused.
-- Raises: nothing because of a single schedule.
-- Locks: the rows of async.schedule that it fires; never waits for one.
create or replace function async.fire_schedules(in_now timestamptz) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
declare
  c_schedules_max constant int := 100;
  c_pushes_max constant int := 1000;
  c_look_again constant interval := '1 second';
  v_due text[];
  v_name text;
  v_schedule async.schedule;
  v_defer text;
  v_pushed int := 0;
  v_next timestamptz;
begin
  v_due := array(
    select s.schedule from async.schedule s
    where s.last_time > in_now + interval '1 hour' and s.look_at is not null
    order by s.last_time
    limit c_schedules_max
    for no key update skip locked)
    || array(
    select s.schedule from async.schedule s
    where s.look_at is not null and s.look_at <= in_now
    order by s.look_at
    limit c_schedules_max
    for no key update skip locked);
  if v_due <> '{}' and async.has_user_triggers() then
    v_defer := async.defer_constraints();
  end if;
  foreach v_name in array v_due loop
    exit when v_pushed >= c_pushes_max;
    begin
      select s.* into v_schedule from async.schedule s where s.schedule = v_name;
      v_pushed := v_pushed + async.fire_schedule(v_schedule, in_now, c_pushes_max - v_pushed, v_defer);
    exception when assert_failure or others then
      perform async.log_quiet('WARNING', format('the schedule %L cannot be fired: %s', v_name,
        async.describe_refusal(sqlstate, sqlerrm)));
    end;
  end loop;
  if v_due <> '{}' then
    perform async.wake_leader();
  end if;
  v_next := async.next_firing(in_now);
  -- Another transaction holds what is due and was not fired.
  return case when v_next <= in_now and v_due = '{}' then in_now + c_look_again else v_next end;
end
$function$;

-- schedules/refuse_schedule_option
-- Purpose: raises the error that refuses an option of a schedule. in_path names the schedule.
-- Returns: nothing; it always raises.
-- Raises: PA0A1.
-- Locks: none.
create or replace function async.refuse_schedule_option(in_path text, in_option text, in_problem text, in_hint text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception '%.%: %', in_path, in_option, in_problem using errcode = 'PA0A1', hint = in_hint;
end
$function$;

-- schedules/check_time_zone
-- Purpose: checks the name of a time zone.
-- Returns: the name as pg_timezone_names has it.
-- Raises: PA0A1.
-- Locks: none.
create or replace function async.check_time_zone(in_path text, in_time_zone text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_name text;
begin
  -- The view reads the files of all zones.
  if in_time_zone = 'UTC' then
    return in_time_zone;
  end if;
  select z.name into v_name from pg_timezone_names z where lower(z.name) = lower(in_time_zone) limit 1;
  if v_name is null then
    perform async.refuse_schedule_option(in_path, 'time_zone', format('there is no time zone %L', left(in_time_zone, 100)),
      'pg_timezone_names has the names.');
  end if;
  return v_name;
end
$function$;

-- schedules/check_schedule
-- Purpose: checks a schedule whose defaults are filled in. The target is checked as a push to it is;
--   for a tag, the first target that has it, if there is one.
-- Returns: nothing.
-- Raises: PA0A1; PA0A0 for the times; the errors of async.push_many about the target and the options.
--   Each names the schedule (in_path) and the option.
-- Locks: none.
-- (Longer than a screen: a list of checks.)
create or replace function async.check_schedule(
  in_path text, in_caller name, in_scope async.scope_t, in_schedule async.schedule) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_overlaps constant text[] := async.schedule_overlaps();
  c_catch_ups constant text[] := async.schedule_catch_ups();
  s constant async.schedule := in_schedule;
  v_target text;
  v_hint text;
  v_why text;
begin
  if btrim(coalesce(s.schedule, ''), E' \t\n\r\f\x0b') = '' then
    perform async.refuse_schedule_option('schedule', 'name', 'must not be empty', 'Name it: nightly_load');
  elsif octet_length(s.schedule) > async.name_bytes_max() then
    perform async.refuse_schedule_option('schedule', 'name', format('is too long (%s bytes)', octet_length(s.schedule)),
      format('It may have %s bytes.', async.name_bytes_max()));
  elsif btrim(coalesce(s.target, ''), E' \t\n\r\f\x0b') in ('', 'tag:') then
    perform async.refuse_schedule_option(in_path, 'target', format('must name a target or tag:NAME, not %s',
      coalesce(quote_literal(s.target), 'null')), async.hint_of_targets(in_caller));
  elsif octet_length(s.target) > async.name_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'target', format('is too long (%s bytes)', octet_length(s.target)),
      format('It may have %s bytes.', async.name_bytes_max()));
  elsif s.overlap <> all (c_overlaps) then
    perform async.refuse_schedule_option(in_path, 'overlap', format('must be one of %s, not %L',
      array_to_string(c_overlaps, ', '), left(s.overlap, 100)),
      'It says what happens while the task of an earlier time has not ended.');
  elsif s.catch_up <> all (c_catch_ups) then
    perform async.refuse_schedule_option(in_path, 'catch_up', format('must be one of %s, not %L',
      array_to_string(c_catch_ups, ', '), left(s.catch_up, 100)),
      'It says which times fire later when no orchestrator could fire them.');
  elsif s.catch_up = 'all' and s.overlap not in ('buffer_all', 'allow_all') then
    perform async.refuse_schedule_option(in_path, 'catch_up', format('must not be all with overlap %L', s.overlap),
      'Use overlap buffer_all or allow_all, or catch_up last.');
  elsif s.expires_after <= '0' or not async.is_usable_duration(s.expires_after) then
    perform async.refuse_schedule_option(in_path, 'expires_after', format('must be longer than 0 and at most 10000 years, '
      'not %s', s.expires_after), 'Leave it out for tasks that do not expire.');
  elsif octet_length(s.source) > async.name_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'source', format('is too long (%s bytes)', octet_length(s.source)),
      format('It may have %s bytes.', async.name_bytes_max()));
  elsif octet_length(s.query) > async.query_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'query', format('is too long (%s bytes)', octet_length(s.query)),
      format('It may have %s bytes.', async.query_bytes_max()));
  elsif pg_column_size(s.task_data) > async.task_data_bytes_max() then
    perform async.refuse_schedule_option(in_path, 'task_data', format('is too large (%s bytes)', pg_column_size(s.task_data)),
      format('It may have %s bytes.', async.task_data_bytes_max()));
  end if;
  if s.receipt then
    v_why := async.refuse_receipt(s.query);
    if v_why is not null then
      perform async.refuse_schedule_option(in_path, 'receipt', format('its query %s, so it can have no receipt', v_why),
        'A receipt needs a query that is one transaction.');
    end if;
  end if;
  v_target := (async.schedule_targets(s.target, in_scope))[1];
  if v_target is not null then
    begin
      -- Nothing is inserted.
      perform from async.prepare_push(in_caller, in_scope, array[row(s.task_data, v_target, s.priority, s.query,
        s.concurrency_pool, s.timeout, s.track_yielded)::async.task_push_t], 'EXECUTE', array[s.retry]);
      perform async.check_receipt_target('', v_target) where s.receipt;
    exception when others then
      if sqlstate not like 'PA%' then
        raise;
      end if;
      get stacked diagnostics v_hint = pg_exception_hint;
      raise exception '%', in_path || ': ' || regexp_replace(sqlerrm, '^task 1: ', '')
        using errcode = sqlstate, hint = v_hint;
    end;
  end if;
end
$function$;

-- schedules/check_schedule_owner
-- Purpose: checks whether a schedule of this name may be replaced or removed by a role, with a call or
--   with async.configure.
-- Returns: nothing.
-- Raises: PA0A2.
-- Locks: none.
create or replace function async.check_schedule_owner(
  in_path text, in_old async.schedule, in_owner oid, in_configured bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_old.configured and not in_configured then
    raise exception '%: async.configure has made this schedule', in_path
      using errcode = 'PA0A2', hint = 'Change the configuration, or use another name.';
  elsif in_configured and not in_old.configured then
    raise exception '%: the role % has made this schedule with async.schedule', in_path, in_old.owner
      using errcode = 'PA0A2', hint = 'Use another name in the configuration, or unschedule it first.';
  elsif not in_configured and in_old.owner <> in_owner then
    raise exception '%: the schedule belongs to the role %', in_path, in_old.owner
      using errcode = 'PA0A2', hint = 'Use another name.';
  end if;
end
$function$;

-- schedules/set_schedule
-- Purpose: makes a schedule, or replaces the one of this name, for the calls and for async.configure.
--   in_options has the columns of async.schedule that async.schedule takes. A replaced schedule keeps
--   its state if its times and their zone stay the same, and stays paused if it was. With another target
--   no time of it waits any more.
-- Returns: its next time.
-- Raises: as async.check_schedule; PA0A2 if the name belongs to another owner, or to async.configure;
--   PA0A5 if the owner has too many schedules.
-- Locks: the row of the schedule, until the end of the transaction.
create or replace function async.set_schedule(
  in_path text, in_caller name, in_scope async.scope_t, in_options jsonb, in_configured bool, in_now timestamptz
) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  s async.schedule := jsonb_populate_record(null::async.schedule, in_options);
  v_old async.schedule;
begin
  s.time_zone := async.check_time_zone(in_path, coalesce(s.time_zone, 'UTC'));
  s.overlap := coalesce(s.overlap, 'skip');
  s.catch_up := coalesce(s.catch_up, 'last');
  perform async.check_schedule(in_path, in_caller, in_scope, s);
  select r.oid into s.owner from pg_roles r where r.rolname = in_caller;
  s.configured := in_configured;
  s.last_time := in_now;
  s.next_time := async.next_time(s."when", s.time_zone, in_now);
  s.look_at := s.next_time;
  s.paused := false;

  select o.* into v_old from async.schedule o where o.schedule = s.schedule for update;
  if not found then
    if (select count(*) from async.schedule o where o.owner = s.owner) >= async.schedules_max() then
      raise exception '%: the role % has % schedules', in_path, quote_ident(in_caller), async.schedules_max()
        using errcode = 'PA0A5', hint = 'Unschedule some, or use one schedule with tag:NAME for several targets.';
    end if;
    insert into async.schedule select s.* on conflict (schedule) do nothing;
    if found then
      return s.next_time;
    end if;
    -- Another transaction has made it meanwhile.
    select o.* into v_old from async.schedule o where o.schedule = s.schedule for update;
  end if;
  perform async.check_schedule_owner(in_path, v_old, s.owner, in_configured);
  if v_old."when" = s."when" and v_old.time_zone = s.time_zone then
    s.last_time := v_old.last_time;
    s.next_time := v_old.next_time;
    s.look_at := v_old.look_at;
  end if;
  if v_old.paused then
    s.paused := true;
    s.look_at := null;
  end if;
  if v_old.target <> s.target then
    delete from async.schedule_wait w where w.schedule = s.schedule;
  end if;
  update async.schedule o set
    owner = s.owner, "when" = s."when", time_zone = s.time_zone, query = s.query, target = s.target, overlap = s.overlap,
    catch_up = s.catch_up, priority = s.priority, concurrency_pool = s.concurrency_pool, timeout = s.timeout,
    task_data = s.task_data, track_yielded = s.track_yielded, source = s.source, retry = s.retry,
    expires_after = s.expires_after, receipt = s.receipt, paused = s.paused, last_time = s.last_time, next_time = s.next_time,
    look_at = s.look_at
  where o.schedule = s.schedule;
  return s.next_time;
end
$function$;

-- schedules/set_paused
-- Purpose: pauses a schedule, or ends its pause. The times during a pause pass; times that wait for the
--   end of a task go on waiting after it.
-- Returns: its next time; null while it is paused.
-- Raises: as async.next_time.
-- Locks: the row of the schedule, until the end of the transaction.
create or replace function async.set_paused(in_schedule text, in_paused bool, in_now timestamptz) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  s async.schedule;
begin
  select o.* into s from async.schedule o where o.schedule = in_schedule for update;
  if in_paused then
    update async.schedule o set paused = true, look_at = null where o.schedule = in_schedule and not o.paused;
    return null;
  elsif s.paused then
    if s.next_time <= in_now then
      s.last_time := async.newest_time(s."when", s.time_zone, s.next_time, in_now);
      s.next_time := async.next_time(s."when", s.time_zone, s.last_time);
    end if;
    update async.schedule o
    set paused = false, last_time = s.last_time, next_time = s.next_time,
      look_at = case when exists (select from async.schedule_wait w where w.schedule = in_schedule) then in_now
        else s.next_time end
    where o.schedule = in_schedule;
  end if;
  return s.next_time;
end
$function$;

-- schedules/schedule_as
-- Purpose: async.schedule for the role that read in_ticket from async.caller.
-- Returns: as async.schedule.
-- Raises: as async.schedule; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.schedule.
create or replace function async.schedule_as(in_caller name, in_ticket bytea, in_options jsonb) returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope constant async.scope_t := async.scope_of(in_caller, in_ticket, null);
  v_next timestamptz;
begin
  v_next := async.set_schedule(format('schedule %s', quote_literal(left(in_options ->> 'schedule', 100))), in_caller,
    v_scope, in_options, false, clock_timestamp());
  perform async.wake_leader();
  return v_next;
end
$function$;

-- schedules/schedule
-- Purpose: makes a schedule, or replaces the caller's own one of this name. From then on the leader
--   pushes the query to the target at the times of _when, for the calling role. It runs as the caller,
--   whose role async.caller proves to async.schedule_as.
-- Returns: the first time at which it fires.
-- Raises: PA0A0 for times that cannot be read or never come, PA0A1 for an option, PA0A2 for the name of
--   another owner, PA0A5 for too many schedules, and the errors of async.push about its options.
-- Locks: as async.set_schedule; as async.wake_leader.
create or replace function async.schedule(
  _name text,
  _when text,
  _query text,
  _target text,
  time_zone text default 'UTC',
  overlap text default 'skip',
  catch_up text default 'last',
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  retry text default null,
  expires_after interval default null,
  receipt bool default null) returns timestamptz
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
-- This form of an interval does not depend on settings.
set intervalstyle = 'iso_8601'
as $function$
begin
  return (
    select async.schedule_as(c.caller, c.ticket, jsonb_build_object(
      'schedule', _name, 'when', _when, 'query', _query, 'target', _target, 'time_zone', time_zone, 'overlap', overlap,
      'catch_up', catch_up, 'priority', priority, 'concurrency_pool', concurrency_pool, 'timeout', timeout,
      'task_data', task_data, 'track_yielded', track_yielded, 'source', source, 'retry', retry,
      'expires_after', expires_after, 'receipt', receipt))
    from async.caller c);
end
$function$;

-- schedules/change_schedule_as
-- Purpose: async.unschedule, async.pause_schedule and async.resume_schedule (in_change: remove, pause,
--   resume) for the role that read in_ticket from async.caller. Its owner and administrators may do so.
-- Returns: the next time of a schedule that is not paused then.
-- Raises: PA0A3 for an unknown schedule, PA0A4 for a schedule of another role, PA0A2 for the removal of
--   a schedule that async.configure has made; insufficient_privilege for a ticket that is not that of the
--   caller.
-- Locks: the row of the schedule, until the end of the transaction; as async.wake_leader.
create or replace function async.change_schedule_as(in_caller name, in_ticket bytea, in_name text, in_change text)
returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_path constant text := format('schedule %s', coalesce(quote_literal(left(in_name, 100)), 'null'));
  s async.schedule;
begin
  perform async.scope_of(in_caller, in_ticket, null);
  select o.* into s from async.schedule o where o.schedule = in_name for update;
  if not found then
    raise exception '%: there is no such schedule', v_path
      using errcode = 'PA0A3', hint = 'async.v_schedule lists the schedules.';
  elsif not (async.is_owner(in_caller)
    or exists (select from pg_roles r where r.oid = s.owner and pg_has_role(in_caller, r.oid, 'usage'))
    or exists (select from async.role_grant g where g.level = 'admin' and pg_has_role(in_caller, g.grantee::oid, 'usage')))
  then
    raise exception '%: the schedule belongs to the role %', v_path, s.owner
      using errcode = 'PA0A4', hint = 'Its owner and administrators may change it.';
  elsif in_change = 'remove' then
    if s.configured then
      perform async.check_schedule_owner(v_path, s, s.owner, false);
    end if;
    delete from async.schedule o where o.schedule = in_name;
    return null;
  end if;
  s.next_time := async.set_paused(in_name, in_change = 'pause', clock_timestamp());
  perform async.wake_leader();
  return s.next_time;
end
$function$;

-- schedules/unschedule
-- Purpose: removes a schedule. Its times that wait are dropped, and its tasks go on. It runs as the caller, whose role
--   async.caller proves to async.change_schedule_as.
-- Returns: nothing.
-- Raises: as async.change_schedule_as.
-- Locks: as async.change_schedule_as.
create or replace function async.unschedule(_name text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_schedule_as(c.caller, c.ticket, _name, 'remove') from async.caller c;
end
$function$;

-- schedules/pause_schedule
-- Purpose: pauses a schedule. Its tasks go on. It runs as the caller, whose role
--   async.caller proves to async.change_schedule_as.
-- Returns: nothing.
-- Raises: as async.change_schedule_as.
-- Locks: as async.change_schedule_as.
create or replace function async.pause_schedule(_name text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_schedule_as(c.caller, c.ticket, _name, 'pause') from async.caller c;
end
$function$;

-- schedules/resume_schedule
-- Purpose: ends the pause of a schedule. The times during the pause have passed. It runs as the caller, whose role
--   async.caller proves to async.change_schedule_as.
-- Returns: its next time.
-- Raises: as async.change_schedule_as.
-- Locks: as async.change_schedule_as.
create or replace function async.resume_schedule(_name text) returns timestamptz
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select async.change_schedule_as(c.caller, c.ticket, _name, 'resume') from async.caller c);
end
$function$;

-- upkeep/delete_history
-- Purpose: deletes one step of the history: finished tasks from before a time, in the order of
--   task_id, after a position. Rows that cannot be deleted, because a foreign key, trigger or
--   deferred constraint of a user forbids it, stay.
-- Returns: the last position of the step (null at the end of the table), the number of rows that it
--   deleted, and whether all rows of the step entered too late to be old.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.delete_history(
  in_after bigint, in_before timestamptz, in_rows int,
  out out_after bigint, out out_deleted int, out out_young bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[];
  v_id bigint;
  v_left int := 0;
  v_error text;
  v_defer text;
begin
  out_deleted := 0;
  select
    case when count(*) = in_rows then max(r.task_id) end,
    coalesce(bool_and(r.entered >= in_before), true),
    array_agg(r.task_id order by r.task_id) filter (where r.processed < in_before and r.tracked is not true)
  into out_after, out_young, v_ids
  from (
    select t.task_id, t.entered, t.processed, t.tracked
    from async.task t
    where t.task_id > in_after
    order by t.task_id
    limit in_rows
  ) r;
  if v_ids is null then
    return;
  end if;
  v_defer := async.defer_constraints();
  begin
    out_deleted := async.delete_tasks(v_ids, in_before, v_defer);
  exception when assert_failure or others then
    foreach v_id in array v_ids loop
      begin
        out_deleted := out_deleted + async.delete_tasks(array[v_id], in_before, v_defer);
      exception when assert_failure or others then
        v_left := v_left + 1;
        v_error := coalesce(v_error, format('task %s: %s', v_id, sqlerrm));
      end;
    end loop;
    perform async.log_quiet('WARNING', format('%s tasks stay in the history, since they cannot be deleted; %s',
      v_left, v_error))
    where v_left > 0;
  end;
end
$function$;

-- upkeep/delete_attempts
-- Purpose: deletes the attempts of tasks that are no longer in async.task, because the upkeep or a
--   user deleted them. in_after and in_through are the positions of a step of the history.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it deletes.
create or replace function async.delete_attempts(in_after bigint, in_through bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.attempt a
  where a.task_id > in_after
    and (in_through is null or a.task_id <= in_through)
    and not exists (select from async.task t where t.task_id = a.task_id);
end
$function$;

-- upkeep/delete_results
-- Purpose: deletes the results of tasks that are no longer in async.task, because the upkeep or a user
--   deleted them. in_after and in_through are the positions of a step of the history.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it deletes.
create or replace function async.delete_results(in_after bigint, in_through bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.result r
  where r.task_id > in_after
    and (in_through is null or r.task_id <= in_through)
    and not exists (select from async.task t where t.task_id = r.task_id);
end
$function$;

-- leader/loop/due_stages
-- Purpose: the stages of this cycle, in order. Results are read before the requests, and recorded
--   after them, so that all requests count that were committed before the result was read. Stages
--   that need not run in every cycle run less often, and those that only notice what others change
--   seldom while the leader is idle: after a sleep that no notification ended (pgasync.idle).
-- Returns: the names of the stages.
-- Raises: nothing.
-- Locks: none.
create or replace function async.due_stages(in_all bool, in_routines bool, in_claiming bool, in_now timestamptz)
returns text[]
language plpgsql
as $function$
declare
  c_idle constant interval := '4500 milliseconds';
  c_fire_again constant interval := '1 second';
  v_idle constant bool := coalesce(current_setting('pgasync.idle', true), '') <> '';
  v_sweep constant bool := async.is_due('swept', '20 milliseconds', in_now) or in_all;
  v_configure bool := in_all;
  v_check_targets bool := in_all;
  v_review bool := in_all;
  v_compact bool := false;
  v_forget bool := in_all;
  v_publish bool := in_all;
  v_fire bool := in_all;
begin
  if v_sweep then
    v_configure := async.is_due('configured', case when v_idle then c_idle else '200 milliseconds' end, in_now) or in_all;
    v_check_targets := async.is_due('checked_targets', case when v_idle then c_idle else '500 milliseconds' end, in_now)
      or in_all;
    v_review := async.is_due('reviewed', case when v_idle then c_idle else '0' end, in_now) or in_all;
    v_compact := async.is_due('compacted', case when v_idle then c_idle else '100 milliseconds' end, in_now);
    v_forget := async.is_due('forgot', '2 seconds', in_now) or in_all;
    v_fire := async.firing_time() <= in_now or in_all;
    v_publish := async.is_due('published', case when v_idle then c_idle else '700 milliseconds' end, in_now) or in_all;
  end if;
  if v_fire then
    -- When the stage fails.
    perform async.note_next_firing(in_now + c_fire_again);
  end if;
  if v_idle then
    perform set_config('pgasync.idle', '', false);
  end if;
  return
    case when v_sweep then '{listen}'::text[] else '{}' end
    || case when v_configure then '{configure}'::text[] else '{}' end
    || case when v_compact then '{compact}'::text[] else '{}' end
    || case when v_forget then '{forget}'::text[] else '{}' end
    || '{reap,requests}'::text[]
    || case when v_check_targets then '{broken}'::text[] else '{}' end
    || case when v_sweep then '{deadlines,record,helpers,orphans,promote,offers}'::text[] else '{record}' end
    || case when v_fire then '{schedules}'::text[] else '{}' end
    || case when in_routines then '{routines}'::text[] else '{}' end
    || '{poll}'::text[]
    || case when v_review then '{review}'::text[] else '{}' end
    || case when in_claiming then '{claim}'::text[] else '{}' end
    || case when v_check_targets then '{lost_targets}'::text[] else '{}' end
    || case when v_publish then '{publish,maintain}'::text[] else '{}' end
    || case when async.counting_is_due(in_all, in_now) then '{count}'::text[] else '{}' end;
end
$function$;

-- leader/loop/run_stage
-- Purpose: runs a stage of a cycle (async.due_stages).
-- Returns: the amount of work that was done; 0 for stages that only look.
-- Raises: the errors of the stage. The caller handles them.
-- Locks: those of the stage.
-- (Longer than a screen: a list of the stages.)
create or replace function async.run_stage(in_stage text, in_now timestamptz, in_manual bool)
returns int
language plpgsql
as $function$
begin
  case in_stage
    when 'reap' then return async.reap_sessions();
    when 'requests' then return async.apply_requests(in_now);
    when 'record' then return async.record_results(in_now);
    when 'claim' then return async.claim_tasks(in_now);
    when 'poll' then perform async.poll(in_now, in_manual);
    when 'deadlines' then return async.enforce_deadlines(in_now);
    when 'helpers' then return async.run_helpers();
    when 'orphans' then return async.resolve_orphans(in_now);
    when 'promote' then return async.promote_deferred(in_now);
    when 'broken' then return async.find_broken_sessions() + async.drop_silent_sessions();
    when 'lost_targets' then return async.fail_tasks_of_lost_targets(in_now) + async.take_write_offs();
    when 'listen' then perform async.heed_notifications();
    when 'review' then perform async.review_lanes();
    when 'compact' then perform async.compact_memory();
    when 'forget' then perform async.forget_unused();
    when 'routines' then perform async.run_routines('LOOP');
    when 'configure' then
      perform async.check_lead();
      perform async.refresh_configuration();
    when 'schedules' then perform async.run_schedules(in_now);
    when 'offers' then perform async.yield_offers(in_now);
    when 'publish' then perform async.publish();
    when 'maintain' then perform async.maintain(in_now);
    when 'count' then perform async.count_tasks(in_now);
  end case;
  return 0;
end
$function$;

-- leader/loop/run_stages
-- Purpose: the deciding part of a cycle, in one transaction: runs the stages that are due. The error of
--   a stage is logged, and the next stage runs. A block that writes takes a transaction id, so
--   neighboring stages that only change tables share one. After an error in it, each of them has its
--   own.
-- Returns: the amount of work that was done, and whether a cancel arrived.
-- Raises: nothing, unless the recovery from a failed stage fails.
-- Locks: async.leader as async.hold_epoch; the rows of async.task that it changes; never waits for
--   one.
create or replace function async.run_stages(out did int, out cancelled bool)
language plpgsql
as $function$
declare
  c_sharing constant text[] := '{requests,deadlines,record,orphans,promote,offers,poll,review,claim}';
  v_now constant timestamptz := clock_timestamp();
  v_state record;
  v_blocks text[] := '{}';
  v_stages text[];
  v_stage text;
  v_before text := '';
  v_done int;
begin
  did := 0;
  cancelled := false;
  begin
    perform async.hold_epoch(l.epoch) from pg_temp.leader_state l;
    select l.stop, l.manual, l.epoch, c.enabled, c.paused, c.loop_routines, g.resign_epoch
    into v_state
    from pg_temp.leader_state l cross join async.control c cross join async.leader g;
    if v_state.stop is null and (not v_state.enabled or v_state.resign_epoch >= v_state.epoch) then
      v_state.stop := case when v_state.enabled then 'asked to by a forced takeover' else 'disabled' end;
      update pg_temp.leader_state set stop = v_state.stop;
    end if;
  exception
    when query_canceled then
      cancelled := true;
      return;
    when sqlstate 'PA212' then
      perform async.lose_lead();
      return;
    when assert_failure or others then
      perform async.note_failure('begin', sqlerrm, sqlstate);
      return;
  end;
  foreach v_stage in array async.due_stages(
    v_state.manual, v_state.loop_routines <> '{}' and v_state.stop is null,
    v_state.stop is null and not v_state.paused, v_now)
  loop
    if v_stage = any (c_sharing) and v_before = any (c_sharing) then
      v_blocks[cardinality(v_blocks)] := v_blocks[cardinality(v_blocks)] || ',' || v_stage;
    else
      v_blocks := v_blocks || v_stage;
    end if;
    v_before := v_stage;
  end loop;
  while v_blocks <> '{}' loop
    v_stages := string_to_array(v_blocks[1], ',');
    v_blocks := v_blocks[2:];
    v_done := 0;
    begin
      foreach v_stage in array v_stages loop
        v_done := v_done + async.run_stage(v_stage, v_now, v_state.manual);
      end loop;
      did := did + v_done;
    exception
      when query_canceled then
        cancelled := true;
        perform async.recover_interrupted_stage(v_stage);
      when assert_failure or others then
        perform async.note_failure(v_stage, sqlerrm, sqlstate);
        perform async.recover_interrupted_stage(v_stage);
        if cardinality(v_stages) > 1 then
          v_blocks := v_stages || v_blocks;
        end if;
    end;
  end loop;
end
$function$;

-- leader/stages/latch_number
-- Purpose: the other half of async.wait_for_latch: the highest number that callers had drawn when
--   the cycle began.
-- Returns: the number; 0 when no call has drawn one.
-- Raises: nothing.
-- Locks: none. Sequences are not transactional, so a waiting caller need not commit.
create or replace function async.latch_number()
returns bigint
language plpgsql
as $function$
begin
  return (
    select case when r.is_called then r.last_value else 0 end from async.latch_requested r);
end
$function$;

-- leader/stages/serve_latch
-- Purpose: publishes that a cycle has ended that began after the given number was drawn.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.serve_latch(in_number bigint)
returns void
language plpgsql
as $function$
begin
  perform setval('async.latch_served', in_number) from async.latch_served s where s.last_value < in_number;
end
$function$;

-- leader/loop/cycle
-- Purpose: one cycle of the orchestrator: decide and commit, mark and commit, send. main() calls it
--   in a loop, and in manual mode a test or an operator calls it. With a time in _last_did_stuff it
--   also sleeps if there was no work: up to busy_sleep while queries run, up to idle_sleep
--   otherwise.
-- Returns: the time of the last work.
-- Raises: PA207 in a session that does not lead, PA213 when the schema was replaced by a version that
--   cannot continue; no other error.
-- Locks: those of the stages. (A procedure with a SET clause cannot commit, so it sets the
--   search_path in each transaction.)
-- (Longer than a screen: what commits between steps cannot be called from a function.)
create or replace procedure async.cycle(
  inout _last_did_stuff timestamptz default null,
  inout _show_message bool default null
)
language plpgsql
as $procedure$
declare
  v_latch bigint;
  v_did int;
  v_cancelled boolean := false;
  v_marked boolean := false;
  v_opened int := 0;
  v_cycle_began timestamp with time zone;
  v_began timestamp with time zone;
  v_noted boolean;
  v_sleeps boolean;
  v_woken boolean := false;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_cycle_began := clock_timestamp();
  if to_regclass('pg_temp.leader_state') is null or _last_did_stuff is null and not async.is_leader() then
    raise exception 'this session does not lead'
      using errcode = 'PA207', hint = 'call async.main(_manual_mode => true) first';
  end if;
  if exists (select from pg_temp.leader_state l where l.stop is null and l.fingerprint <> async.schema_fingerprint()) then
    perform async.carry_over_memory();
  end if;
  -- Every error between two commits is caught: a lock on a table for a moment must not end main().
  begin
    v_latch := async.latch_number();
    select r.did, r.cancelled into v_did, v_cancelled from async.run_stages() r;
  exception
    when query_canceled then
      v_cancelled := true;
      perform async.recover_interrupted_cycle();
    when assert_failure or others then
      perform async.note_failure('cycle', sqlerrm, sqlstate);
      perform async.recover_interrupted_cycle();
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

  if exists (select from pg_temp.leader_worker s where s.state = 'claimed') then
    begin
      perform async.mark_launches();
      v_marked := true;
    exception
      when query_canceled then
        v_cancelled := true;
      when sqlstate 'PA212' then
        perform async.lose_lead();
      when assert_failure or others then
        -- The tasks stay claimed, and are marked in the next cycle.
        perform async.note_failure('mark', sqlerrm, sqlstate);
    end;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end if;
  if v_marked then
    begin
      perform async.send_launches();
    exception
      when query_canceled then
        v_cancelled := true;
        perform async.recover_interrupted_launches();
      when assert_failure or others then
        perform async.note_failure('send', sqlerrm, sqlstate);
        perform async.recover_interrupted_launches();
    end;
  end if;
  begin
    if exists (select from pg_temp.leader_target t where t.wanted > 0) then
      v_opened := async.open_wanted_sessions();
    end if;
    perform async.serve_latch(v_latch);
    v_noted := async.note_value('pgasync_loop_seconds', async.metric_bounds('pgasync_loop_seconds'),
      extract(epoch from clock_timestamp() - v_cycle_began)::double precision) is not null;
  exception
    when query_canceled then
      v_cancelled := true;
    when assert_failure or others then
      perform async.note_failure('open', sqlerrm, sqlstate);
  end;
  if v_did + v_opened > 0 and _last_did_stuff is not null and not v_cancelled then
    -- The memory has what was sent. It is committed with the decisions of the next cycle.
    _last_did_stuff := clock_timestamp();
    return;
  end if;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_began := clock_timestamp();
  loop
    v_sleeps := false;
    begin
      if _last_did_stuff is not null and not v_cancelled then
        select w.out_sleeps, w.out_woken into v_sleeps, v_woken from async.await_work(_last_did_stuff, v_began) w;
      end if;
    exception
      when query_canceled then
        v_cancelled := true;
      when sqlstate 'PA212' then
        perform async.lose_lead();
      when assert_failure or others then
        perform async.note_failure('wait', sqlerrm, sqlstate);
    end;
    if v_woken then
      _last_did_stuff := clock_timestamp();
    end if;
    -- The commit of a leader that falls asleep is asynchronous. That of the next claims is not.
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when not v_sleeps;
  end loop;
  -- It does not sleep again before it has polled (async.sleep_until).
  perform pg_catalog.set_config('pgasync.polled', '', false);
  if v_cancelled then
    update pg_temp.leader_state set stop = coalesce(stop, 'cancelled');
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end if;
end
$procedure$;

-- leader/election/take_locks
-- Purpose: tries to become the leader: with the row of async.leader_lock locked, finds no other
--   leader, and takes and records an advisory lock with a new key. Takes the lock of
--   advisory_mutex_id too, if it is free. That lock keeps this session from leading only when a
--   member of the owner holds it: any role may take it.
-- Returns: whether this session leads from the commit of this transaction on.
-- Raises: nothing.
-- Locks: the row of async.leader_lock, until the transaction ends; waits for it for one second at
--   most. The advisory locks, for the session; does not wait for them.
create or replace function async.take_locks()
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $function$
declare
  v_key bigint;
begin
  perform async.release_locks();
  begin
    perform from async.leader_lock for update;
  exception when lock_not_available then
    return false;
  end;
  if async.leader_pid() is not null or async.mutex_holder() is not null then
    return false;
  end if;
  loop
    v_key := async.random_key();
    exit when pg_try_advisory_lock(v_key);
  end loop;
  update async.leader_lock set pid = pg_backend_pid(), key = v_key;
  perform set_config('pgasync.mutex',
    case when pg_try_advisory_lock(c.advisory_mutex_id) then c.advisory_mutex_id::text else '' end, false)
  from async.control c;
  return true;
end
$function$;

-- leader/election/release_locks
-- Purpose: releases the locks of the leader, as often as this session holds them, also after a
--   change of advisory_mutex_id.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: releases the two advisory locks of the leader.
create or replace function async.release_locks()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_key bigint;
begin
  for v_key in
    select k.key from async.leader_lock k where k.pid = pg_backend_pid()
    union
    select nullif(current_setting('pgasync.mutex', true), '')::bigint
  loop
    while exists (select from pg_locks l where l.pid = pg_backend_pid() and async.is_advisory_lock(l, v_key)) loop
      perform pg_advisory_unlock(v_key);
    end loop;
  end loop;
end
$function$;

-- leader/election/abandon_lead
-- Purpose: releases the locks and closes the connections of a main() that ends.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: releases the two advisory locks of the leader.
create or replace function async.abandon_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  begin
    perform async.close_own_connections();
  exception when query_canceled or assert_failure or others then
    null;
  end;
  perform async.release_locks();
end
$function$;

-- leader/election/check_main
-- Purpose: refuses to lead in the session of a role that does not own the schema, and warns of a
--   statement_timeout.
-- Returns: nothing.
-- Raises: PA209 for a role that does not own the schema.
-- Locks: none.
create or replace function async.check_main()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if not pg_has_role((select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage') then
    raise exception 'only the owner of the schema async may run the orchestrator, % is not', current_user
      using errcode = 'PA209', hint = 'Connect as the owner, or set role to it';
  end if;
  if current_setting('statement_timeout') <> '0' then
    raise warning 'statement_timeout is %: it will end the orchestrator', current_setting('statement_timeout')
      using hint = 'set statement_timeout = 0, then call async.main()';
  end if;
end
$function$;

-- leader/election/describe_leader
-- Purpose: a sentence that names the leader, or what else keeps this session from leading.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_leader()
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(
    format('another orchestrator leads: pid %s', async.leader_pid()),
    format('pid %s holds the advisory lock %s: choose another advisory_mutex_id', async.mutex_holder(),
      c.advisory_mutex_id),
    'another orchestrator is about to lead')
  from async.control c
$function$;

-- leader/election/prepare_session
-- Purpose: sets the settings of the session of the SQL engine: no JIT (it leaks memory in a session
--   that never ends), short lock waits, READ COMMITTED, generic plans, no idle timeout, buffers for its
--   memory, no notices under pg_cron, and durable commits, because the task of a claim that a crash
--   loses would run twice.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.prepare_session()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('jit', 'off', false);
  perform set_config('lock_timeout', '100ms', false);
  if current_setting('server_version_num')::int >= 120000 then
    perform set_config('plan_cache_mode', 'force_generic_plan', false);
  end if;
  perform set_config('default_transaction_isolation', 'read committed', false);
  perform set_config('idle_in_transaction_session_timeout', '0', false);
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', false);
  end if;
  -- The memory of a leader with 10,000 lanes. It cannot be set after the first use of a temporary table.
  begin
    perform set_config('temp_buffers', '64MB', false);
  exception when others then
    null;
  end;
  if exists (select from pg_stat_get_activity(pg_backend_pid()) a where a.application_name like E'pg\\_cron%') then
    perform set_config('client_min_messages', 'warning', false);
  end if;
end
$function$;

-- leader/election/grace_ends
-- Purpose: the end of the grace period in which an unforced successor leaves the lead to a lost
--   Rust engine, whose connection may return. A leader that wrote a goodbye, and an SQL engine, do
--   not return.
-- Returns: timestamptz.
-- Raises: nothing.
-- Locks: none.
create or replace function async.grace_ends()
returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select clock_timestamp()
    + coalesce((select c.takeover_grace from async.leader l where not l.goodbye and l.engine <> 'sql'), '0')
  from async.control c
$function$;

-- leader/election/take_over
-- Purpose: takes the lead from the leader of this database, of either engine, by force: asks it to
--   resign, waits, then terminates its backend. If another candidate takes the lead meanwhile, it
--   is asked in turn, with the same limits.
-- Returns: when this session holds the locks.
-- Raises: PA208 when the leader cannot be removed.
-- Locks: async.leader in row exclusive mode; the advisory locks of the leader, at the end. (A
--   procedure with a SET clause cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.take_over()
language plpgsql
as $procedure$
declare
  c_ask_seconds constant float := 25;
  c_terminate_seconds constant float := 10;
  -- The leader that is asked or terminated, and the present one.
  v_pid int;
  v_leader int := async.leader_pid();
  v_until timestamp with time zone;
  v_terminated boolean;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if v_leader is null then
    if async.take_locks() then
      return;
    end if;
    raise exception '%', async.describe_leader() using errcode = 'PA208';
  end if;
  loop
    if v_leader is distinct from v_pid then
      v_pid := v_leader;
      v_terminated := false;
      v_until := clock_timestamp() + c_ask_seconds * interval '1 second';
      perform async.log_quiet('NOTICE', format('pid %s asks orchestrator pid %s to resign', pg_backend_pid(), v_pid));
    end if;
    -- An election clears the request, so it is repeated.
    if exists (select from async.leader l where l.resign_epoch is distinct from l.epoch) then
      begin
        update async.leader set resign_epoch = epoch;
        perform pg_notify('async_wake', '');
      exception when lock_not_available then
        null; -- an election is under way: again in a moment
      end;
    end if;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    if async.take_locks() then
      return;
    end if;
    v_leader := async.leader_pid();
    -- A leader in manual mode that is idle between two commands does not see the request.
    if v_leader = v_pid and not v_terminated
      and (clock_timestamp() >= v_until or exists (select from pg_stat_activity a where a.pid = v_pid
        and a.state = 'idle' and a.state_change < clock_timestamp() - interval '2 seconds'))
    then
      begin
        perform pg_terminate_backend(v_pid);
      exception when insufficient_privilege then
        raise exception 'orchestrator pid % does not resign, and % may not terminate it', v_pid, current_user
          using errcode = 'PA208', hint = 'Ask a member of its role, or of pg_signal_backend, to terminate it';
      end;
      v_terminated := true;
      v_until := clock_timestamp() + c_terminate_seconds * interval '1 second';
      perform async.log_quiet('WARNING', format('terminated orchestrator pid %s, which did not resign', v_pid));
    elsif v_leader is null and clock_timestamp() >= v_until then
      raise exception '%', async.describe_leader() using errcode = 'PA208';
    elsif v_leader = v_pid and clock_timestamp() >= v_until then
      raise exception 'orchestrator pid % was terminated but still holds its lock', v_pid
        using errcode = 'PA208', hint = 'Its host may be stopped; look at pg_stat_activity';
    end if;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform pg_sleep(0.1);
    v_leader := coalesce(async.leader_pid(), v_pid);
  end loop;
end
$procedure$;

-- leader/election/end_lead
-- Purpose: ends the lead: closes every session, and publishes that no orchestrator leads. Sessions
--   that may still run a query stay in the registry, and the next leader fences them. The goodbye
--   is complete when the registry is empty. An orchestrator that lost the lead writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: async.leader as async.hold_epoch; the rows of async.control and async.leader.
create or replace function async.end_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_state record;
begin
  select l.epoch, l.stop, l.deposed into v_state from pg_temp.leader_state l;
  begin
    perform async.hold_epoch(v_state.epoch);
  exception when sqlstate 'PA212' then
    v_state.deposed := true;
  end;
  if v_state.deposed then
    raise warning 'another orchestrator has taken the lead: this one ends' using errcode = 'PA212';
    return;
  end if;
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state in ('idle', 'cleaning', 'identifying');
  perform async.publish();
  perform async.close_own_connections();
  perform async.lead_goodbye(v_state.stop);
  if v_state.stop like 'PA213: %' then
    raise warning '%', substr(v_state.stop, 8) using errcode = 'PA213';
  end if;
end
$function$;

-- leader/election/stop_launched
-- Purpose: pauses what runs when a leader stops: each query is canceled, and its task returns to
--   the queue when the cancel is confirmed.
-- Returns: the number of workers that still have a task.
-- Raises: nothing.
-- Locks: none.
create or replace function async.stop_launched()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.set_intention(s.worker, clock_timestamp(), 'PAUSED', null, null, null)
  from pg_temp.leader_worker s where s.state = 'running' and s.intention is null;
  return (select count(*)::int from pg_temp.leader_worker s where s.state in ('claimed', 'running', 'ended'));
end
$function$;

-- leader/loop/main
-- Purpose: the SQL engine: leads until it is canceled, disabled, asked to resign or deposed. _force
--   takes the lead from the present leader of this database: asks it to resign, and terminates its
--   backend if that does not help. _manual_mode prepares and returns; then async.cycle() runs one
--   cycle.
-- Returns: at once, with a notice, when another orchestrator leads or async.control.enabled is
--   false.
-- Raises: PA206 when this server cannot connect to itself; PA208 when the present leader cannot be
--   removed; PA209 for a role that does not own the schema. It ends with a warning when another
--   orchestrator took the lead (PA212), or when another version of the schema was installed
--   (PA213, an error if that version cannot continue).
-- Locks: the two advisory locks of the leader, while it leads. (A procedure with a SET clause
--   cannot commit, so it sets the search_path in each transaction.)
-- (Longer than a screen: what commits between steps cannot be called from a function.)
create or replace procedure async.main(
  _force bool default false,
  _manual_mode bool default false
)
language plpgsql
as $procedure$
declare
  c_drain_seconds constant float := 10;
  c_stop_seconds constant float := 10;
  c_goodbyes_max constant int := 5;
  v_last timestamp with time zone;
  v_show boolean := true;
  v_until timestamp with time zone;
  v_left int;
  v_ended boolean := false;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_last := clock_timestamp();
  perform async.check_main();
  if not _force and not (select c.enabled from async.control c) then
    raise notice 'the orchestrator is disabled: set async.control.enabled, or call async.main(_force => true)';
    return;
  end if;
  -- A lost Rust engine whose connection returns soon continues its queries. An SQL engine ends with
  -- its connection.
  v_until := async.grace_ends();
  while not _force and async.leader_pid() is null and clock_timestamp() < v_until loop
    perform pg_sleep(0.2);
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  if not async.take_locks() then
    if not _force then
      raise notice '%', async.describe_leader();
      return;
    end if;
    call async.take_over();
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end if;
  begin
    perform async.prepare_session();
  exception when query_canceled or assert_failure or others then
    perform async.abandon_lead();
    raise;
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    perform async.begin_lead();
  exception when query_canceled or assert_failure or others then
    perform async.abandon_lead();
    raise;
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    perform async.run_routines('STARTUP');
  exception when query_canceled then
    update pg_temp.leader_state set stop = 'cancelled';
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if _manual_mode then
    update pg_temp.leader_state set manual = true;
    raise notice 'prepared: call async.cycle() runs one round';
    return;
  end if;

  loop
    call async.cycle(v_last, v_show);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when (select l.stop is not null from pg_temp.leader_state l);
  end loop;

  -- Running queries may end, unless a cancel came. Then the rest is paused.
  v_until := clock_timestamp() + c_drain_seconds * interval '1 second';
  while (select l.stop <> 'cancelled' and not l.deposed from pg_temp.leader_state l) and clock_timestamp() < v_until
    and exists (select from pg_temp.leader_worker s where s.state in ('claimed', 'running', 'ended'))
  loop
    call async.cycle(v_last, v_show);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  v_until := clock_timestamp() + c_stop_seconds * interval '1 second';
  while not (select l.deposed from pg_temp.leader_state l) loop
    v_left := async.stop_launched();
    exit when v_left = 0 or clock_timestamp() > v_until;
    call async.cycle(v_last, v_show);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  for v_try in 1..c_goodbyes_max loop
    begin
      perform async.end_lead();
      v_ended := true;
    exception when query_canceled or assert_failure or others then
      perform async.note_failure('end', sqlerrm, sqlstate);
    end;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when v_ended;
  end loop;
  perform async.abandon_lead();
  perform async.wait_for_commit();
  commit;
end
$procedure$;

-- leader/loop/reinitialize_workers
-- Purpose: applies a changed number of workers: at once in the leader session; elsewhere it wakes
--   the leader, which applies the change at its next poll.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.reinitialize_workers()
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if to_regclass('pg_temp.leader_worker') is not null and async.is_leader() then
    perform async.refresh_configuration();
  else
    perform async.wake_leader();
  end if;
end
$function$;

-- leader/fences/adopt
-- Purpose: makes a physical copy of a server (a restored base backup, a promoted clone) a server of
--   its own. It gets a new id and deletes its registry of sessions, which belong to the original.
--   Tasks that were running when the copy was made fail here with an unknown outcome.
-- Returns: the new id.
-- Raises: PA211 while an orchestrator leads.
-- Locks: the row of async.leader, the rows of async.session and async.election.
create or replace function async.adopt()
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_id text;
begin
  if async.leader_pid() is not null then
    raise exception 'orchestrator pid % leads in this database', async.leader_pid()
      using errcode = 'PA211', hint = 'Stop it first: update async.control set enabled = false';
  end if;
  delete from async.session;
  delete from async.election;
  update async.leader l set server_id = left(md5(random()::text || clock_timestamp()::text), 12)
  returning l.server_id into v_id;
  return v_id;
end
$function$;

-- leader/fences/write_off_session
-- Purpose: declares that a session that cannot be ended is gone, or need not be waited for. It
--   counts as gone from then on, and the tasks that wait for it end. For the owner and
--   administrators.
-- Returns: nothing.
-- Raises: PA214 when async.v_lost_session does not show the session.
-- Locks: the session's row of async.session.
create or replace function async.write_off_session(_session_id bigint)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_session async.session;
begin
  update async.session s set written_off = true, written_off_by = session_user
  where s.session_id = _session_id and s.lost_since is not null
  returning s.* into v_session;
  if not found then
    raise exception 'session % is not lost', coalesce(_session_id::text, 'null')
      using errcode = 'PA214', hint = 'select * from async.v_lost_session shows those that are';
  end if;
  perform async.log_quiet('WARNING', format('session %s (backend %s at target "%s") was written off by %s',
    v_session.session_id, v_session.pid, v_session.target, session_user));
  perform async.wake_leader();
end
$function$;

-- election/record_election
-- Purpose: records an election: its nonce, and the server that it took place on. Address (if both
--   are known and identify a host), port and timeline decide whether the server is the same as at
--   the previous election, or another one: a copy, or the successor of a failed primary. A server
--   that was only restarted, or is reached over another path, is the same.
-- Returns: the nonce.
-- Raises: nothing.
-- Locks: none.
create or replace function async.record_election(in_epoch bigint, in_system_identifier text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_elections_max constant int := 10000;
  v_nonce constant text := left(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text), 8);
  v_last async.election;
  v_timeline int;
begin
  begin
    v_timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int;
  exception when insufficient_privilege then
    null;
  end;
  select e.* into v_last from async.election e where e.epoch < in_epoch order by e.epoch desc, e.nonce limit 1;
  insert into async.election (epoch, nonce, address, port, timeline, system_identifier, server_started, moved)
  values (
    in_epoch, v_nonce, host(inet_server_addr()), current_setting('port')::int, v_timeline, in_system_identifier,
    pg_postmaster_start_time(),
    pg_postmaster_start_time() is distinct from v_last.server_started
      and (current_setting('port')::int <> v_last.port
        or v_timeline <> v_last.timeline
        or not async.is_local_address(v_last.address) and not async.is_local_address(host(inet_server_addr()))
          and host(inet_server_addr()) <> v_last.address) is true);
  delete from async.election e where e.epoch < in_epoch - c_elections_max;
  return v_nonce;
end
$function$;

-- election/is_local_address
-- Purpose: whether an address does not identify a host: a Unix socket (null) or a loopback address.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_local_address(in_address text)
returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(in_address in ('::1', '127.0.0.1') or in_address like '127.%', true)
$function$;

-- election/raise_epoch
-- Purpose: makes this session, which holds the locks, the leader: binds the id of the server,
--   raises the epoch, draws the nonce of the election, and publishes the pid.
-- Returns: the epoch, the id of the server, whether the last leader wrote a goodbye, and the nonce.
-- Raises: lock_not_available when write transactions of the last leader do not end within 10
--   seconds.
-- Locks: async.leader in share row exclusive mode, which waits for the write transactions of other
--   leaders (async.hold_epoch) and blocks new ones; the rows of async.control and async.leader.
create or replace function async.raise_epoch(
  in_engine text, out out_epoch bigint, out out_server_id text, out out_goodbye bool, out out_nonce text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $function$
declare
  v_system text := '0';
begin
  lock table async.leader in share row exclusive mode;
  begin
    select s.system_identifier::text into v_system from pg_control_system() s;
  exception when insufficient_privilege then
    null;
  end;
  insert into async.leader (server_id, system_identifier, database_oid)
  select '', '', 0 where not exists (select from async.leader);
  -- A dump that was restored elsewhere is another server. The sessions of the original do not
  -- belong to it.
  update async.leader l
  set server_id = left(md5(random()::text || clock_timestamp()::text), 12), system_identifier = v_system,
      database_oid = (select d.oid from pg_database d where d.datname = current_database())
  where (l.system_identifier, l.database_oid) is distinct from
    (v_system, (select d.oid from pg_database d where d.datname = current_database()));
  if found then
    delete from async.session;
    delete from async.election;
  end if;
  select l.goodbye into out_goodbye from async.leader l;
  update async.leader l set epoch = l.epoch + 1, engine = in_engine, goodbye = false, resign_epoch = null
  returning l.epoch, l.server_id into out_epoch, out_server_id;
  out_nonce := async.record_election(out_epoch, nullif(v_system, '0'));
  update async.control c set pid = pg_backend_pid(), running_since = clock_timestamp(), enabled = true;
end
$function$;

-- election/resume_epoch
-- Purpose: continues an epoch in another session after the loss of the leader session: waits until
--   no write transaction of the epoch is under way, terminates the backend of the lost session, and
--   reports whether it is gone. While it exists, a statement that it received earlier may still
--   begin.
-- Returns: whether the epoch is still the present one; whether the backend is gone; whether the
--   launch marks were lost in a crash of Postgres.
-- Raises: lock_not_available while a write transaction is under way.
-- Locks: async.leader in share row exclusive mode, which blocks the writes of a leader, until the
--   transaction ends; the row of async.control.
create or replace function async.resume_epoch(
  in_epoch bigint, in_pid int, in_backend_start timestamptz,
  out out_stands bool, out out_gone bool, out out_marks_lost bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  lock table async.leader in share row exclusive mode;
  select l.epoch = in_epoch, not exists (
    select from async.launch_mark m where m.task_id = 0 and m.run = l.generation)
  into out_stands, out_marks_lost from async.leader l;
  -- The statistics snapshot may date from the start of the transaction.
  perform pg_stat_clear_snapshot();
  out_gone := not exists (
    select from pg_stat_get_activity(in_pid) a
    where a.pid = in_pid and (a.backend_start = in_backend_start or a.backend_start is null));
  if out_stands and not out_gone then
    perform pg_terminate_backend(in_pid);
  end if;
  if out_stands and out_gone then
    update async.control set pid = pg_backend_pid();
  end if;
end
$function$;

-- both_engines/lead_rows
-- Purpose: the rows of tasks as the Rust engine keeps them, without their texts.
-- Returns: the rows that exist.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_rows(in_ids bigint[])
returns table (
  task_id bigint, priority int, entered timestamptz, pool text, target text, client_pulled bool,
  asynchronous_finish bool, track_yielded bool, manual_timeout interval, consumed timestamptz,
  processed timestamptz, yielded timestamptz, finish_status text, failed bool, processing_error text,
  times_up timestamptz, tracked bool, eligible_when timestamptz, run int, text_bytes int,
  run_at timestamptz, expires_at timestamptz, attempt int, retry text, receipt bool, ended_by text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select
    t.task_id, t.priority, t.entered, coalesce(t.concurrency_pool, t.target), t.target, t.query is null,
    coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false), t.manual_timeout, t.consumed,
    t.processed, t.yielded, t.finish_status::text, t.failed, t.processing_error,
    t.times_up, t.tracked, t.eligible_when, t.run, coalesce(octet_length(t.query), 0), t.run_at, t.expires_at,
    coalesce(t.attempt, 0), t.retry::text, coalesce(t.receipt, false), t.ended_by
  from async.task t
  where t.task_id = any (in_ids);
end
$function$;

-- both_engines/lead_stock
-- Purpose: the tasks that the last leader left to the next one: those that run or hold a pool slot.
--   For those that run, the launch marks say whether they were launched. Without the sentinel of
--   the marks every claimed task counts as launched. Of tasks with receipts, async.receipt says it.
-- Returns: the ids of the tasks, and whether they were launched.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_stock()
returns table (task_id bigint, launched bool)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
declare
  v_marks_hold bool;
begin
  select exists (select from async.launch_mark m where m.task_id = 0 and m.run = l.generation)
  into v_marks_hold from async.leader l;
  return query
  select t.task_id,
    case when t.receipt then exists (select from async.receipt r where r.task_id = t.task_id and r.run = t.run)
      else not v_marks_hold or exists (select from async.launch_mark m where m.task_id = t.task_id and m.run = t.run) end
  from async.running_rows() t;
  return query
  select k.task_id, false from async.tasks_without_query() k;
  -- Finished tasks whose session was not known to be gone. The row says so, because marks do not
  -- survive a crash.
  return query
  select t.task_id, true from async.task t where t.processed is not null and t.tracked;
end
$function$;

-- both_engines/tasks_without_query
-- Purpose: unfinished tasks that hold a pool slot and run no query: YIELDED, pulled and offered
--   tasks.
-- Returns: their ids.
-- Raises: nothing.
-- Locks: none.
create or replace function async.tasks_without_query()
returns table (task_id bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select t.task_id from async.task t
  where (t.times_up is not null or t.yielded is not null) and t.processed is null
    and (t.yielded is not null or t.consumed is not null and t.query is null) and t.tracked
  union
  select o.task_id from async.offer o;
end
$function$;

-- both_engines/running_rows
-- Purpose: the RUNNING tasks with a query, of any leader.
-- Returns: the rows.
-- Raises: nothing.
-- Locks: none.
create or replace function async.running_rows()
returns setof async.task
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select t.* from async.task t
  where t.times_up is not null and t.processed is null
    and t.yielded is null and t.consumed is not null and t.query is not null;
end
$function$;

-- both_engines/lead_rotate_marks
-- Purpose: starts the launch marks anew, in one transaction: truncates the table (unless a reader
--   holds it), writes a sentinel with a new generation, and marks exactly the given tasks and runs.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead; lock_not_available when async.leader
--   is locked for 100 ms.
-- Locks: async.leader as async.hold_epoch; async.launch_mark exclusively, for at most 100 ms of
--   waiting.
create or replace function async.lead_rotate_marks(in_epoch bigint, in_ids bigint[], in_runs int[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $function$
declare
  v_sessions bigint[];
begin
  perform async.hold_epoch(in_epoch);
  -- There are few tasks and many marks, so the marks are read once.
  v_sessions := array(
    select coalesce(m.session_id, 0)
    from unnest(in_ids, in_runs) with ordinality as i(task_id, run, place)
    left join (
      select k.task_id, k.run, max(k.session_id) as session_id
      from async.launch_mark k
      where k.task_id = any (in_ids)
      group by k.task_id, k.run
    ) m on m.task_id = i.task_id and m.run = i.run
    order by i.place);
  begin
    truncate async.launch_mark;
  exception when lock_not_available then
    null;
  end;
  update async.leader set generation = generation + 1;
  insert into async.launch_mark (task_id, run, session_id)
  select 0, l.generation, 0 from async.leader l
  union all
  select k.task_id, k.run, k.session_id from unnest(in_ids, in_runs, v_sessions) as k(task_id, run, session_id);
end
$function$;

-- both_engines/write_marks
-- Purpose: marks claimed tasks as launched, each with its session, before their queries are sent.
--   The table is unlogged and only appended to. Its sentinel is missing if Postgres has crashed
--   since. The caller commits before it sends.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
create or replace function async.write_marks(in_epoch bigint, in_ids bigint[], in_runs int[], in_sessions bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.hold_epoch(in_epoch);
  insert into async.launch_mark (task_id, run, session_id)
  select m.task_id, m.run, m.session_id from unnest(in_ids, in_runs, in_sessions) as m(task_id, run, session_id);
end
$function$;

-- external_leader/lead_mark
-- Purpose: marks launches (see async.write_marks), and returns the texts of the tasks.
-- Returns: for each task that has the marked run its text, or the reason why it must not be launched;
--   whether it may start in a session at this database itself (async.session.at_self); for a task
--   whose rows are kept, the most bytes that its target may answer; and whether it has a receipt.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
create or replace function async.lead_mark(in_epoch bigint, in_ids bigint[], in_runs int[], in_sessions bigint[])
returns table (task_id bigint, query text, refused text, may_reach_self bool, answer_bytes_max int, receipt bool)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
#variable_conflict use_column
begin
  perform async.write_marks(in_epoch, in_ids, in_runs, in_sessions);
  return query
  select t.task_id,
    case when octet_length(t.query) <= async.query_bytes_max() then
      case when t.keep_result_for is null and t.receipt is not true then t.query
        else async.launch_text(t.query, t.keep_result_for is not null, t.receipt, t.task_id, t.run, m.session_id, t.target)
      end end,
    case when (octet_length(t.query) <= async.query_bytes_max()) is not true then
      async.refuse_query(octet_length(t.query)) end,
    t.may_reach_self is not false,
    case when t.keep_result_for is not null then
      async.answer_bytes_max((select c.result_bytes_max from async.control c)) end,
    coalesce(t.receipt, false)
  from unnest(in_ids, in_runs, in_sessions) as m(task_id, run, session_id)
  join async.task t on t.task_id = m.task_id and t.run = m.run
  -- Always true, and selective to the planner: see async.write_at_once.
  where m.run = m.run + 0;
end
$function$;

-- external_leader/lead_heads
-- Purpose: the heads of lanes, for the Rust engine. The lanes are parallel arrays. A lane with
--   in_after_id gives the tasks after that position, so that the index entries of tasks before it
--   are not read again.
-- Returns: up to in_limits tasks of each lane, in order, each with the position of its lane.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_heads(
  in_pools text[], in_targets text[], in_pullable bool[], in_limits int[],
  in_after_priority int[], in_after_entered timestamptz[], in_after_id bigint[]
) returns table (
  lane bigint, task_id bigint, priority int, entered timestamptz, asynchronous_finish bool, track_yielded bool,
  manual_timeout interval, times_up timestamptz, run int, text_bytes int,
  run_at timestamptz, expires_at timestamptz, attempt int, retry text, receipt bool
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
#variable_conflict use_column
begin
  return query
  select l.lane, h.*
  from unnest(in_pools, in_targets, in_pullable, in_limits, in_after_priority, in_after_entered, in_after_id)
    with ordinality
    as l(pool, target, pullable, heads_max, after_priority, after_entered, after_id, lane)
  cross join lateral (
    (select t.task_id, t.priority, t.entered, coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false),
       t.manual_timeout, t.times_up, t.run, octet_length(t.query), t.run_at, t.expires_at,
       coalesce(t.attempt, 0), t.retry::text, coalesce(t.receipt, false)
     from async.task t
     where not l.pullable
       and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
       and async.waits_for_launch(t)
       and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
     order by t.priority, t.entered, t.task_id
     limit l.heads_max)
    union all
    (select t.task_id, t.priority, t.entered, coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false),
       t.manual_timeout, t.times_up, t.run, 0, t.run_at, t.expires_at, coalesce(t.attempt, 0), t.retry::text,
       false
     from async.task t
     where l.pullable
       and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
       and async.waits_for_offer(t)
       and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
     order by t.priority, t.entered, t.task_id
     limit l.heads_max)
  ) h;
end
$function$;

-- both_engines/lead_arrivals
-- Purpose: the tasks that became READY since a snapshot: those whose transaction was not visible to
--   the snapshot. The cost grows with their number only. Tasks with eligible_when wait for that time
--   (run_at, a deferral), and are not in the queue yet.
-- Returns: up to in_max tasks, in no order.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_arrivals(in_since txid_snapshot, in_max int)
returns table (
  pool text, target text, pullable bool, task_id bigint, priority int, entered timestamptz,
  asynchronous_finish bool, track_yielded bool, manual_timeout interval, times_up timestamptz, run int, text_bytes int,
  run_at timestamptz, expires_at timestamptz, eligible_when timestamptz, attempt int, retry text, receipt bool
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
#variable_conflict use_column
declare
  v_after constant bigint := txid_snapshot_xmax(in_since);
  v_open constant bigint[] := array(select txid_snapshot_xip(in_since));
begin
  return query
  select coalesce(t.concurrency_pool, t.target), t.target, t.query is null, t.task_id, t.priority, t.entered,
    coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false), t.manual_timeout, t.times_up, t.run,
    coalesce(octet_length(t.query), 0), t.run_at, t.expires_at, t.eligible_when, coalesce(t.attempt, 0), t.retry::text,
    coalesce(t.receipt, false)
  from (
    select a.* from async.task a
    -- The index has the condition, so that no statement without it reads all of the index.
    where a.arrived >= v_after and a.arrived is not null
      and a.consumed is null and a.processed is null and a.yielded is null
    union all
    select a.* from async.task a
    where a.arrived = any (v_open) and a.arrived is not null
      and a.consumed is null and a.processed is null and a.yielded is null
  ) t
  where t.query is not null or t.tracked is distinct from true
  limit in_max;
end
$function$;

-- both_engines/arrival_lanes
-- Purpose: the lanes of the tasks that became READY since a snapshot, for more of them than are read
--   one by one. The cost grows with the number of these tasks. To read their lanes from the front would
--   cost more while an old snapshot is held, which keeps the index entries of all tasks that ended.
-- Returns: each lane with the position after which these tasks are: the least priority, the least time
--   and the least number of them. Null if more than in_max tasks became READY.
-- Raises: nothing.
-- Locks: none.
create or replace function async.arrival_lanes(in_since txid_snapshot, in_max int)
returns async.lane_t[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
declare
  v_after constant bigint := txid_snapshot_xmax(in_since);
  v_open constant bigint[] := array(select txid_snapshot_xip(in_since));
  v_lanes async.lane_t[];
  v_tasks bigint;
begin
  select
    coalesce(array_agg(row(l.pool, l.target, l.pullable, l.priority, l.entered, l.task_id - 1, null, null)::async.lane_t)
      filter (where l.priority is not null), '{}'),
    sum(l.tasks)
  into v_lanes, v_tasks
  from (
    select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.query is null as pullable, count(*) as tasks,
      -- Tasks with eligible_when wait for that time, and are not in the queue yet.
      min(t.priority) filter (where t.eligible_when is null) as priority,
      min(t.entered) filter (where t.eligible_when is null) as entered,
      min(t.task_id) filter (where t.eligible_when is null) as task_id
    from (
      select a.* from async.task a
      where a.arrived >= v_after and a.arrived is not null
        and a.consumed is null and a.processed is null and a.yielded is null
      union all
      select a.* from async.task a
      where a.arrived = any (v_open) and a.arrived is not null
        and a.consumed is null and a.processed is null and a.yielded is null
      limit in_max + 1
    ) t
    where t.query is not null or t.tracked is distinct from true
    group by 1, 2, 3
  ) l;
  return case when coalesce(v_tasks, 0) <= in_max then v_lanes end;
end
$function$;

-- external_leader/lead_sweep
-- Purpose: promotes deferred tasks whose time has come, and finds overdue tasks that run no query.
-- Returns: the lanes of the promoted tasks; the overdue tasks; when to sweep again (null: nothing
--   is to come; in_now: there was more than one step); the tasks that could not be written, with
--   the reasons; when to fire schedules next (async.next_firing). Tasks of in_skip, which are in
--   backoff, are skipped.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.lead_sweep(
  in_now timestamptz, in_limit int, in_skip bigint[],
  out out_pools text[], out out_targets text[], out out_pullable bool[], out out_overdue bigint[],
  out out_next timestamptz, out out_failed bigint[], out out_errors text[], out out_fires_at timestamptz
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[] := async.deferred_tasks(in_now, in_skip);
begin
  if v_ids is not null then
    select array_agg(w.task_id), array_agg(coalesce(w.error, 'another transaction holds the row'))
    into out_failed, out_errors
    from async.write_all(null, null, null, null, null, null, null, array(
        select row(i, null, 'PROMOTE', in_now, null, null, null, null, null, null, null, null)::async.event_t
          from unnest(v_ids) i),
      true) w
    where w.outcome in ('failed', 'locked');
    select array_agg(l.pool), array_agg(l.target), array_agg(l.client_pulled)
    into out_pools, out_targets, out_pullable
    from (select distinct r.pool, r.target, r.client_pulled from async.lead_rows(v_ids) r) l;
  end if;
  select d.out_overdue, d.out_next into out_overdue, out_next from async.overdue_tasks_without_query(in_now, in_limit) d;
  if cardinality(out_overdue) >= in_limit or cardinality(v_ids) >= 5000 then
    out_next := in_now;
  end if;
  out_fires_at := async.next_firing(in_now);
end
$function$;

-- external_leader/overdue_tasks_without_query
-- Purpose: overdue tasks that run no query, and the time at which the next task is overdue or its
--   deferral ends.
-- Returns: the ids, and that time.
-- Raises: nothing.
-- Locks: none.
create or replace function async.overdue_tasks_without_query(
  in_now timestamptz, in_limit int, out out_overdue bigint[], out out_next timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  out_overdue := array(
    select t.task_id from async.task t
    where (t.times_up is not null or t.yielded is not null) and t.processed is null
      and t.times_up <= in_now
      and (t.consumed is null or t.yielded is not null or t.query is null)
    order by t.times_up, t.task_id
    limit in_limit);
  out_next := least(
    (select t.times_up from async.task t
     where (t.times_up is not null or t.yielded is not null) and t.processed is null
       and t.times_up > in_now and t.times_up < 'infinity'
       and (t.consumed is null or t.yielded is not null or t.query is null)
     order by t.times_up, t.task_id
     limit 1),
    (select t.eligible_when from async.task t
     where t.eligible_when is not null and t.processed is null
       -- As in async.deferred_tasks.
       and t.eligible_when > in_now and coalesce(t.consumed, t.yielded) is null
     order by t.eligible_when
     limit 1));
end
$function$;

-- both_engines/publish_state
-- Purpose: writes the state of the leader of either engine to the tables that the views read: the
--   task of each worker, the occupancy of each pool, and the lost targets. Names workers and masks
--   errors. Writes only changed rows, so an idle leader writes nothing. A null array counts as an
--   empty one.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.publish_state(
  in_workers async.worker[], in_pools async.concurrency_pool_tracker[], in_lost async.target_outage[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
begin
  delete from async.worker w where not exists (select from unnest(in_workers) n where n.slot = w.slot);
  insert into async.worker as w (slot, name, target, task_id, running_since)
  select n.slot, 'pgasync_slot_' || n.slot, n.target, n.task_id, n.running_since
  from unnest(in_workers) n
  -- A condition of "do update" would lock unchanged rows, which writes WAL.
  where not exists (
    select from async.worker o
    where o.slot = n.slot
      and (o.name, o.target, o.task_id) is not distinct from ('pgasync_slot_' || n.slot, n.target, n.task_id))
  on conflict (slot) do update
  set name = excluded.name, target = excluded.target, task_id = excluded.task_id,
      running_since = excluded.running_since;

  delete from async.target_outage o where not exists (select from unnest(in_lost) l where l.target = o.target);
  insert into async.target_outage as o (target, since, error, retry_at)
  select l.target, l.since, m.error, l.retry_at
  from unnest(in_lost) l
  cross join lateral (select async.mask_text(l.error) as error offset 0) m
  where not exists (
    select from async.target_outage u
    where u.target = l.target and (u.since, u.error, u.retry_at) is not distinct from (l.since, m.error, l.retry_at))
  on conflict (target) do update
  set since = excluded.since, error = excluded.error, retry_at = excluded.retry_at;

  insert into async.concurrency_pool_tracker as k (concurrency_pool, workers, max_workers)
  select p.concurrency_pool, p.workers, p.max_workers
  from unnest(in_pools) p
  where not exists (
    select from async.concurrency_pool_tracker t
    where t.concurrency_pool = p.concurrency_pool
      and (t.workers, t.max_workers) is not distinct from (p.workers, p.max_workers))
  on conflict (concurrency_pool) do update
  set workers = excluded.workers, max_workers = excluded.max_workers;
  update async.concurrency_pool_tracker k set workers = 0
  where k.workers <> 0
    and not exists (select from unnest(in_pools) p where p.concurrency_pool = k.concurrency_pool);
  -- An empty pool that is not configured has no row.
  delete from async.concurrency_pool_tracker k
  where not exists (select from unnest(in_pools) p where p.concurrency_pool = k.concurrency_pool)
    and not exists (select from async.concurrency_pool p where p.concurrency_pool = k.concurrency_pool)
    and not exists (select from async.target g where g.target = k.concurrency_pool);
end
$function$;

-- external_leader/lead_publish
-- Purpose: async.publish_state for the Rust engine, which gives the number of workers, those that
--   run a task, and the occupancy of each pool.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.lead_publish(
  in_workers int, in_busy async.worker[], in_pools async.concurrency_pool_tracker[], in_lost async.target_outage[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.publish_state(
    array(
      select row(s.slot, '', w.target, w.task_id, w.running_since)::async.worker
      from (select generate_series(1, in_workers) as slot union select b.slot from unnest(in_busy) b) s
      left join unnest(in_busy) w on w.slot = s.slot),
    array(
      select row(p.concurrency_pool, p.workers, async.pool_limit(p.concurrency_pool))::async.concurrency_pool_tracker
      from unnest(in_pools) p),
    in_lost);
end
$function$;

-- external_leader/lead_register
-- Purpose: registers target sessions of the Rust engine. A session that was registered before the
--   loss of the leader session is not registered again.
-- Returns: the id of each session, and whether it is a session at this database itself (see
--   async.note_session_at_self).
-- Raises: datetime_field_overflow or invalid_datetime_format for an invalid time.
-- Locks: the rows of the targets in async.target_at_self.
create or replace function async.lead_register(in_epoch bigint, in_sessions async.registration_t[])
returns table (pid int, target text, session_id bigint, at_self bool)
language sql
set search_path = pg_catalog, pg_temp
as $function$
  with given as (
    select s.slot, s.target, s.connection_string, s.role, s.pid, s.backend_start::timestamptz as backend_start,
      s.server_started::timestamptz as server_started, s.server_address, s.server_port, s.system_identifier,
      s.timeline
    from unnest(in_sessions) s
  ), there as (
    select s.pid, s.target, s.session_id, s.at_self
    from async.session s
    join given g on g.target = s.target and g.pid = s.pid and g.backend_start = s.backend_start
    where s.epoch = in_epoch
  ), added as (
    insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start, server_started,
      server_address, server_port, system_identifier, timeline, at_self)
    select in_epoch, g.*,
      async.note_session_at_self(g.target, g.pid, g.backend_start, g.server_started)
    from given g
    where not exists (select from there t where t.target = g.target and t.pid = g.pid)
    returning pid, target, session_id, at_self
  )
  select t.pid, t.target, t.session_id, t.at_self from there t
  union all
  select a.pid, a.target, a.session_id, a.at_self from added a
$function$;

-- upkeep/upkeep_state
-- Purpose: the state of the upkeep in this session, as the last step left it.
-- Returns: async.upkeep_t.
-- Raises: nothing.
-- Locks: none.
create or replace function async.upkeep_state()
returns async.upkeep_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_rows_at_first constant int := 500;
  v_state async.upkeep_t;
begin
  if coalesce(current_setting('pgasync.upkeep', true), '') <> '' then
    return current_setting('pgasync.upkeep')::async.upkeep_t;
  end if;
  v_state.rows := c_rows_at_first;
  v_state.young_rows := 0;
  v_state.writes := 0;
  v_state.small_writes := 0;
  v_state.vacuum_after := '-infinity';
  v_state.small_after := '-infinity';
  return v_state;
end
$function$;

-- upkeep/next_step_rows
-- Purpose: the size of the next step of the history, from the size and the duration of the last
--   one. A foreign key without an index, or a slow trigger, makes each row expensive.
-- Returns: a number of rows, from 1 to 5000.
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_step_rows(in_rows int, in_took interval)
returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select least(5000, greatest(1, least(in_rows * 2, case
    when in_took <= '0' then 5000
    else (in_rows * least(5000, 0.1 / extract(epoch from in_took)))::int
  end)))
$function$;

-- upkeep/plan_vacuum
-- Purpose: decides what to vacuum. async.task: after a tenth of it was written, and at least 20,000
--   rows. The other tables: ten seconds after the first write. A CALL that never returns reports no
--   statistics, so autovacuum does not see what the SQL engine writes.
--   Vacuums take at most a fifth of the time: with a held snapshot they remove nothing.
-- Returns: the state with the statement in vacuum (null: nothing is due).
-- Raises: nothing.
-- Locks: none.
create or replace function async.plan_vacuum(in_state async.upkeep_t, in_now timestamptz, in_writes bigint)
returns async.upkeep_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_writes_min constant bigint := 20000;
  c_share constant float8 := 0.1;
  c_pause_min constant interval := '5 seconds';
  c_small_pause constant interval := '10 seconds';
  c_pause_per_time constant float8 := 4;
  -- A vacuum that gives pages back to the system takes a lock for which writers wait.
  c_options constant text := case when current_setting('server_version_num')::int >= 120000
    then 'analyze, truncate false, skip_locked' else 'analyze' end;
  v_state async.upkeep_t := in_state;
begin
  v_state.vacuum := null;
  v_state.writes := v_state.writes + in_writes;
  v_state.small_writes := v_state.small_writes + in_writes;
  if v_state.vacuum_began is not null then
    v_state.vacuum_after := in_now + greatest(c_pause_min, (in_now - v_state.vacuum_began) * c_pause_per_time);
    v_state.vacuum_began := null;
  end if;
  if in_now < v_state.vacuum_after then
    return v_state;
  end if;
  if v_state.writes > c_writes_min and v_state.writes > c_share * (
    select c.reltuples from pg_class c where c.oid = 'async.task'::regclass) then
    v_state.vacuum := format('vacuum (%s) async.task', c_options);
    v_state.writes := 0;
  elsif v_state.small_writes > 0 and in_now >= v_state.small_after then
    -- Those of the owner of async.task only: VACUUM warns about others.
    select format('vacuum (%s) %s', c_options, string_agg(c.oid::regclass::text, ', ' order by c.oid))
    into v_state.vacuum
    from pg_class c
    join pg_class t on t.oid = 'async.task'::regclass
    where c.relnamespace = t.relnamespace and c.relkind = 'r' and c.oid <> t.oid and c.relowner = t.relowner;
    v_state.small_writes := 0;
    v_state.small_after := in_now + c_small_pause;
  end if;
  if v_state.vacuum is not null then
    v_state.vacuum_began := in_now;
  end if;
  return v_state;
end
$function$;

-- upkeep/delete_settled_sessions
-- Purpose: removes the sessions from the registry that are gone and stayed there for a receipt
--   (async.unregister_sessions).
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it deletes.
create or replace function async.delete_settled_sessions() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform from async.session s where s.settled limit 1;
  if found then
    perform async.unregister_sessions(array(select s.session_id from async.session s where s.settled));
  end if;
end
$function$;

-- upkeep/old_receipts
-- Purpose: receipts that can be deleted at their target: their tasks ended control.receipt_keep ago, or are
--   deleted. Those of another server, of which this one is a copy, are only forgotten here.
-- Returns: at most one row, of a target that is chosen at random: its connection string (null if it was
--   deleted), whether it is the server itself, the keys of up to 1000 receipts here, and the statement that
--   deletes them there and returns one text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.old_receipts(in_now timestamptz)
returns table (target text, connection_string text, is_self bool, task_ids bigint[], runs int[], query text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  c_receipts_max constant int := 1000;
  v_before constant timestamptz := in_now - (select c.receipt_keep from async.control c);
begin
  return query
  with recursive targets as (
    (select r.target from async.receipt r order by r.target limit 1)
    union all
    select (select r.target from async.receipt r where r.target > s.target order by r.target limit 1)
    from targets s where s.target is not null
  ), old as (
    select s.target, array_agg(o.task_id) as task_ids, array_agg(o.run) as runs,
      string_agg(format('(%L::pg_catalog.text, %L::pg_catalog.text, %s::pg_catalog.int8, %s::pg_catalog.int4)',
        case when o.server_id = l.server_id then o.server_id else '' end, o.election, o.task_id, o.run), ', ') as keys
    from targets s
    cross join async.leader l
    cross join lateral (
      select r.* from async.receipt r
      left join async.task t on t.task_id = r.task_id
      where r.target = s.target and r.marked < v_before and (t.task_id is null or t.processed < v_before)
      order by r.marked
      limit c_receipts_max
    ) o
    group by s.target
    order by random()
    limit 1
  )
  select o.target, t.connection_string, coalesce(t.target = c.self_target, false), o.task_ids, o.runs,
    format('with gone as (delete from pgasync.receipt r using (values %s) as k(server_id, election, task_id, run) '
      'where r.server_id operator(pg_catalog.=) k.server_id and r.election operator(pg_catalog.=) k.election '
      'and r.task_id operator(pg_catalog.=) k.task_id and r.run operator(pg_catalog.=) k.run) '
      'select ''deleted''::pg_catalog.text', o.keys)
  from old o
  cross join async.control c
  left join async.target t on t.target = o.target;
end
$function$;

-- upkeep/forget_receipts
-- Purpose: notes that receipts were deleted at their target. Further ones are due at once.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.receipt that it deletes.
create or replace function async.forget_receipts(in_task_ids bigint[], in_runs int[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.receipt r using unnest(in_task_ids, in_runs) as k(task_id, run)
  where r.task_id = k.task_id and r.run = k.run;
  perform set_config('pgasync.receipts_after', '', false);
end
$function$;

-- upkeep/postpone_receipts
-- Purpose: notes that receipts cannot be deleted at their target. The next attempt comes later.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.postpone_receipts() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause constant interval := '10 minutes';
begin
  perform set_config('pgasync.receipts_after', (clock_timestamp() + c_pause)::text, false);
end
$function$;

-- upkeep/receipts_are_due
-- Purpose: whether old receipts are to be deleted at a target (async.old_receipts). It looks once in ten
--   seconds. The time is a setting of the session of the upkeep.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.receipts_are_due(in_now timestamptz) returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_every constant interval := '10 seconds';
begin
  if nullif(current_setting('pgasync.receipts_after', true), '')::timestamptz > in_now then
    return false;
  end if;
  perform set_config('pgasync.receipts_after', (in_now + c_every)::text, false);
  return exists (select from async.old_receipts(in_now));
end
$function$;

-- upkeep/upkeep_step
-- Purpose: performs one bounded step of the upkeep: says what to vacuum, or deletes old history and
--   log lines. in_writes is the number of rows of async.task that the leader has written since the
--   last step. The state is a setting of the session.
-- Returns: the VACUUM that is due (null: none), and whether more history or log lines may be old.
-- Raises: nothing because of a single task.
-- Locks: the rows that it deletes.
create or replace function async.upkeep_step(
  in_now timestamptz, in_writes bigint, out out_vacuum text, out out_more bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- A transaction may push long after it began, and entered is its beginning. So a pass ends after
  -- this many rows in a row that entered too late to be old.
  c_young_rows_at_end constant int := 1000;
  c_log_lines_per_step constant int := 5000;
  v_state async.upkeep_t := async.plan_vacuum(async.upkeep_state(), in_now, in_writes);
  v_control async.control;
  v_step record;
  v_lines int := 0;
begin
  out_vacuum := v_state.vacuum;
  if out_vacuum is null then
    select c.* into v_control from async.control c;
    perform async.delete_settled_sessions();
    if v_state.pass_began is null
      and in_now >= coalesce(v_control.last_heavy_maintenance, '-infinity') + v_control.heavy_maintenance_sleep then
      v_state.pass_began := in_now;
      v_state.after := 0;
      v_state.young_rows := 0;
    end if;
    if v_state.pass_began is not null then
      v_step := async.delete_history(v_state.after, in_now - v_control.task_keep_duration, v_state.rows);
      perform async.delete_attempts(v_state.after, v_step.out_after);
      perform async.delete_results(v_state.after, v_step.out_after);
      v_state.after := v_step.out_after;
      v_state.writes := v_state.writes + v_step.out_deleted;
      v_state.young_rows := case when v_step.out_young then v_state.young_rows + v_state.rows else 0 end;
      v_state.rows := async.next_step_rows(v_state.rows, clock_timestamp() - in_now);
      if v_state.after is null or v_state.young_rows >= c_young_rows_at_end then
        -- Written at the end, so that a successor repeats an interrupted pass.
        update async.control set last_heavy_maintenance = v_state.pass_began;
        v_state.pass_began := null;
      end if;
    end if;
    if in_now >= coalesce(v_control.last_light_maintenance, '-infinity') + v_control.light_maintenance_sleep then
      delete from async.server_log l
      where l.server_log = any (array(
        select o.server_log from async.server_log o
        where o.happened < in_now - v_control.task_keep_duration
        order by o.happened, o.server_log
        limit c_log_lines_per_step));
      get diagnostics v_lines = row_count;
      -- Only a deletion is noted: an idle server writes nothing.
      if v_lines between 1 and c_log_lines_per_step - 1 then
        update async.control set last_light_maintenance = in_now;
      end if;
    end if;
  end if;
  out_more := v_state.pass_began is not null or v_lines = c_log_lines_per_step;
  perform set_config('pgasync.upkeep', v_state::text, false);
end
$function$;

-- upkeep/upkeep
-- Purpose: performs steps of the upkeep, each in a transaction of its own, for a few seconds. Either
--   engine calls it in a session to this server of its own, outside of its cycle, executes the VACUUM
--   of the answer, and calls it again.
-- Returns: the VACUUM that is due, null if none is, in a json value, so that dblink gets one column:
--   {"vacuum": text, "more": bool, "receipts": bool}; receipts: old ones are to be deleted at a target.
-- Raises: nothing because of a single task.
-- Locks: those of async.upkeep_step. (A procedure with a SET clause cannot commit, so it sets the
--   search_path in each transaction.)
create or replace procedure async.upkeep(in_writes bigint, inout io_answer json default null)
language plpgsql
as $procedure$
declare
  c_time_max constant interval := '3 seconds';
  v_until timestamp with time zone;
  v_began timestamp with time zone;
  v_writes bigint := in_writes;
  v_step record;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_until := clock_timestamp() + c_time_max;
  loop
    v_began := clock_timestamp();
    v_step := async.upkeep_step(v_began, v_writes);
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when v_step.out_vacuum is not null or not v_step.out_more or clock_timestamp() >= v_until;
    -- As long as the step took, so that the rest of the server gets half of the time.
    perform pg_sleep(extract(epoch from clock_timestamp() - v_began));
    v_writes := 0;
  end loop;
  io_answer := json_build_object('vacuum', v_step.out_vacuum, 'more', v_step.out_more,
    'receipts', async.receipts_are_due(clock_timestamp()));
end
$procedure$;

-- both_engines/lead_goodbye
-- Purpose: ends the lead of either engine: publishes that no orchestrator leads and that no worker
--   runs a task. Sessions that may still run a query stay in the registry, and the next leader
--   fences them. The goodbye is complete when the registry is empty.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.control and async.leader.
create or replace function async.lead_goodbye(in_why text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update async.worker set task_id = null, running_since = null where task_id is not null;
  update async.leader set goodbye = not exists (select from async.session);
  update async.control set pid = null, running_since = null;
  perform async.log_quiet('NOTICE', format('stopped leading: %s', in_why));
end
$function$;

-- record/note_changed_tasks
-- Purpose: notes, in the leader session of the Rust engine, tasks that a routine or a trigger
--   changed. The SQL engine reads them by itself.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_changed_tasks(in_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_seen text := current_setting('pgasync.changed_tasks', true);
begin
  -- A setting, and not a table: a rollback undoes the note of its transaction.
  if cardinality(in_ids) > 0 and to_regclass('pg_temp.leader_state') is null then
    perform set_config('pgasync.changed_tasks', concat_ws(',', nullif(v_seen, ''), array_to_string(in_ids, ',')), false);
  end if;
end
$function$;

-- record/take_changed_tasks
-- Purpose: returns the noted tasks, and forgets them.
-- Returns: the ids of the tasks.
-- Raises: nothing.
-- Locks: none.
create or replace function async.take_changed_tasks()
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_seen text := current_setting('pgasync.changed_tasks', true);
begin
  if coalesce(v_seen, '') = '' then
    return '{}';
  end if;
  perform set_config('pgasync.changed_tasks', '', false);
  return array(select distinct i::bigint from unnest(string_to_array(v_seen, ',')) i);
end
$function$;

-- record/changed_task_rows
-- Purpose: the rows that a writer adds to its answer for the Rust engine where users have triggers:
--   the noted tasks as they are now, and the information that there are triggers. No rows in the
--   session of the SQL engine.
-- Returns: rows as those of async.write_events.
-- Raises: nothing.
-- Locks: none.
create or replace function async.changed_task_rows()
returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int,
  attempt int, ended_by text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  v_ids bigint[];
begin
  if to_regclass('pg_temp.leader_state') is not null then
    return;
  end if;
  v_ids := async.take_changed_tasks();
  return query
    select i.task_id, null::int, null::text, 'touched'::text, null::text, r.consumed, r.processed, r.yielded,
      r.finish_status, r.failed, r.processing_error, r.times_up, r.tracked, r.eligible_when, r.run, r.attempt, r.ended_by
    from unnest(v_ids) as i(task_id)
    left join async.lead_rows(v_ids) r on r.task_id = i.task_id;
  outcome := 'triggers';
  return next;
end
$function$;

-- views/helpers/leader_session
-- Purpose: the leader session of this database in pg_stat_activity. host is the host of its client,
--   'local' over a Unix socket. quiet is the time since its last commit.
-- Returns: one row; no row while no orchestrator leads.
-- Raises: nothing.
-- Locks: none.
create or replace function async.leader_session(
  out pid int, out host text, out application text, out quiet interval
) returns setof record
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
  select
    a.pid,
    case when a.client_port = -1 then 'local' else coalesce(a.client_hostname, host(a.client_addr)) end,
    a.application_name,
    clock_timestamp() - coalesce(a.xact_start, a.state_change)
  from pg_stat_activity a
  where a.pid = async.leader_pid()
$function$;

-- views/helpers/standby_sessions
-- Purpose: counts the sessions of pgasync run in this database that do not lead: standbys, which take
--   over when the leader is lost.
-- Returns: their number.
-- Raises: nothing.
-- Locks: none.
create or replace function async.standby_sessions()
returns int
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
  select count(*)::int
  from pg_stat_activity a
  where a.datname = current_database() and a.application_name = 'pgasync run'
    and a.pid is distinct from async.leader_pid()
    and pg_has_role(a.usesysid, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage')
$function$;

-- views/helpers/lane_backlog
-- Purpose: the READY tasks of a lane (a pool and a target): their number, counted up to a limit;
--   the first one; and when the oldest was pushed, among the 100 most urgent priorities of the
--   lane. The cost does not grow with the backlog.
-- Returns: one row.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lane_backlog(
  in_pool text, in_target text, in_pullable bool,
  out waiting bigint, out more bool, out first_task_id bigint, out oldest timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
declare
  c_counted_max constant int := 10000;
  c_priorities_max constant int := 100;
  v_priority int;
  v_entered timestamptz;
  v_task_id bigint;
begin
  if in_pullable then
    select count(*) into waiting from (
      select from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_offer(t)
      limit c_counted_max + 1
    ) c;
  else
    select count(*) into waiting from (
      select from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_launch(t)
      limit c_counted_max + 1
    ) c;
  end if;
  more := waiting > c_counted_max;
  waiting := least(waiting, c_counted_max);

  -- The oldest task of each priority is the first in the index.
  for v_at in 1..c_priorities_max loop
    if in_pullable then
      select t.priority, t.entered, t.task_id into v_priority, v_entered, v_task_id
      from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_offer(t)
        and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
      order by t.priority, t.entered, t.task_id
      limit 1;
    else
      select t.priority, t.entered, t.task_id into v_priority, v_entered, v_task_id
      from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_launch(t)
        and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
      order by t.priority, t.entered, t.task_id
      limit 1;
    end if;
    exit when not found;
    first_task_id := coalesce(first_task_id, v_task_id);
    oldest := least(oldest, v_entered);
  end loop;
end
$function$;

-- views/helpers/backlog
-- Purpose: the waiting tasks of each lane: their number, and the seconds since the push of the oldest,
--   among the 20 most urgent priorities of the lane. At most 200,000 tasks are counted: the lanes share
--   them, and each lane counts 100 to 10,000 of its tasks. The cost does not grow with the backlog.
-- Returns: one row for each lane and kind (pullable: tasks without a query, for clients).
-- Raises: nothing.
-- Locks: none.
create or replace function async.backlog()
returns table (pool text, target text, pullable bool, waiting bigint, oldest_seconds float8)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
#variable_conflict use_variable
declare
  c_counted_max constant int := 200000;
  c_lane_min constant int := 100;
  c_lane_max constant int := 10000;
  c_priorities_max constant int := 20;
  v_lane record;
  v_limit int;
  v_priority int;
  v_entered timestamptz;
  v_oldest timestamptz;
begin
  for v_lane in
    select d.pool, d.target, d.pullable, count(*) over () as lanes from async.discover_lanes() d
  loop
    pool := v_lane.pool;
    target := v_lane.target;
    pullable := v_lane.pullable;
    v_limit := greatest(c_lane_min, least(c_lane_max, c_counted_max / v_lane.lanes));
    if pullable then
      select count(*) into waiting from (
        select from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_offer(t)
        limit v_limit
      ) c;
    else
      select count(*) into waiting from (
        select from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_launch(t)
        limit v_limit
      ) c;
    end if;
    -- The oldest task of each priority is the first in the index.
    v_priority := null;
    v_oldest := null;
    for v_at in 1..c_priorities_max loop
      if pullable then
        select t.priority, t.entered into v_priority, v_entered
        from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_offer(t)
          and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
        order by t.priority, t.entered, t.task_id
        limit 1;
      else
        select t.priority, t.entered into v_priority, v_entered
        from async.task t
        where coalesce(t.concurrency_pool, t.target) = v_lane.pool and t.target = v_lane.target
          and async.waits_for_launch(t)
          and t.priority >= coalesce(v_priority::bigint + 1, -2147483648)
        order by t.priority, t.entered, t.task_id
        limit 1;
      end if;
      exit when not found;
      v_oldest := least(v_oldest, v_entered);
    end loop;
    -- The tasks may have been claimed meanwhile.
    continue when waiting = 0;
    oldest_seconds := greatest(0, extract(epoch from clock_timestamp() - coalesce(v_oldest, clock_timestamp())));
    return next;
  end loop;
end
$function$;

-- views/helpers/error_group
-- Purpose: the group of an error: its SQLSTATE, and its first line, in which # stands for each number.
--   Errors of one cause differ in ids and amounts. The planner inlines it.
-- Returns: one row. sqlstate is null when the error has none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.error_group(in_error text)
returns table (sqlstate text, message text)
language sql immutable parallel safe
as $function$
  select
    pg_catalog.substring(in_error, '^([0-9A-Z]{5}): '),
    pg_catalog.regexp_replace(
      pg_catalog.regexp_replace(
        pg_catalog.split_part(pg_catalog.left(in_error, 300), pg_catalog.chr(10), 1), '^[0-9A-Z]{5}: ', ''),
      '[0-9]+', '#', 'g')
$function$;

-- views/v_target
-- Every target, without passwords, and the number of workers that run a task there.
create or replace view async.v_target as
select
  t.target,
  t.max_concurrency,
  async.mask_connection_string(t.connection_string) as connection_string,
  t.asynchronous_finish,
  t.default_timeout,
  t.concurrency_track_yielded,
  (select count(*) from async.worker w where w.target = t.target and w.task_id is not null) as active_workers,
  t.session_reset,
  t.retired,
  t.max_sessions,
  t.tags,
  t.paused
from async.target t
order by t.target;

-- views/v_schedule
-- The schedules. Their queries, task_data and refusals are shown to their owners, the owner of the schema
-- and administrators.
create or replace view async.v_schedule as
select
  s.schedule,
  s."when",
  s.time_zone,
  s.target,
  case when s.is_shown then s.query end as query,
  s.owner::text as owner,
  s.configured,
  s.paused,
  s.overlap,
  s.catch_up,
  case when not s.paused then s.next_time end as next_time,
  s.last_fired,
  s.last_task_id,
  coalesce(t.finish_status::text, async.task_execution_state(t)::text) as last_status,
  (select count(*) from async.schedule_wait w where w.schedule = s.schedule) as waiting,
  s.last_skipped,
  s.last_refused,
  case when s.is_shown then s.last_refusal end as last_refusal,
  s.priority,
  s.concurrency_pool,
  s.timeout,
  case when s.is_shown then s.task_data end as task_data,
  s.track_yielded,
  s.source,
  s.retry,
  s.expires_after
from (
  select h.*,
    exists (select from pg_catalog.pg_roles r where r.oid = h.owner and pg_has_role(r.oid, 'usage'))
    or exists (select from pg_catalog.pg_namespace n where n.nspname = 'async' and pg_has_role(n.nspowner, 'usage'))
    or exists (select from async.role_grant g where g.level = 'admin' and pg_has_role(g.grantee::oid, 'usage')) as is_shown
  from async.schedule h
) s
left join async.task t on t.task_id = s.last_task_id
order by s.schedule;

-- views/v_unfinished_task
-- Every task that has not finished. A partial index with the same predicate serves each branch, so
-- the cost does not grow with the history. Each task is in exactly one branch.
create or replace view async.v_unfinished_task as
  select t.*
  from async.task t
  where async.waits_for_launch(t)
union all
  select t.*
  from async.task t
  where async.waits_for_offer(t)
union all
  -- Offered to clients, and not taken yet.
  select t.*
  from async.offer o
  cross join lateral (
    select l.*
    from async.task l
    where l.task_id = o.task_id
      and l.consumed is null and l.processed is null and l.yielded is null
      and l.eligible_when is null and l.query is null and l.tracked
    -- The offset prevents the planner from scanning all tasks.
    offset 0
  ) t
union all
  select t.*
  from async.task t
  where t.eligible_when is not null and t.processed is null
union all
  select t.*
  from async.task t
  where (t.times_up is not null or t.yielded is not null) and t.processed is null
    and t.eligible_when is null and (t.consumed is not null or t.yielded is not null);

-- views/v_target_status
-- The load of each target. The misspelt names are those of the original library.
create or replace view async.v_target_status as
select
  t.target,
  coalesce(e.day, 0) as tasks_entered_24h,
  coalesce(e.hour, 0) as tasks_entered_1h,
  coalesce(e.minute, 0) as tasks_entered_1m,
  coalesce(u.pending, 0) as tasks_pending,
  coalesce(u.running, 0) as tasks_running,
  coalesce(u.yielded, 0) as tasks_yielded,
  coalesce(p.workers, 0) as concurency_assigned_workers,
  coalesce(u.elsewhere, 0) as concurrency_external_pool,
  async.pool_limit(t.target) as concurency_max_workers
from async.target t
left join (
  select
    r.target,
    count(*) as day,
    count(*) filter (where r.entered >= now() - interval '1 hour') as hour,
    count(*) filter (where r.entered >= now() - interval '1 minute') as minute
  from async.task r
  where r.entered >= now() - interval '1 day'
  group by r.target
) e on e.target = t.target
left join (
  select
    r.target,
    count(*) filter (where r.yielded is null and r.consumed is null) as pending,
    count(*) filter (where r.yielded is null and r.consumed is not null) as running,
    count(*) filter (where r.yielded is not null) as yielded,
    count(*) filter (where r.consumed is not null and r.concurrency_pool is distinct from r.target) as elsewhere
  from async.v_unfinished_task r
  group by r.target
) u on u.target = t.target
left join async.concurrency_pool_tracker p on p.concurrency_pool = t.target
order by t.target;

-- views/v_candidate_task
-- The tasks that would run next: the heads of the lanes that fit into their pools and into the free
-- workers, by the published occupancy (at most one second old). n is the position in the pool.
create or replace view async.v_candidate_task as
select c.*
from (
  select
    -- Columns that are new go to the end.
    h.task_id, h.target, h.priority, h.entered, h.consumed, h.processed, h.yielded, h.finish_status,
    h.source, h.query, h.failed, h.processing_error, h.asynchronous_finish, h.times_up, h.task_data,
    h.concurrency_pool, h.manual_timeout, h.tracked, h.track_yielded, h.eligible_when, h.run,
    async.mask_connection_string(g.connection_string) as connection_string,
    g.default_timeout,
    l.max_workers,
    l.workers,
    row_number() over (partition by l.pool order by h.priority, h.entered, h.task_id) as n,
    h.pushed_by
  from (
    select d.pool, d.target, async.pool_limit(d.pool) as max_workers, coalesce(p.workers, 0) as workers
    from async.discover_lanes() d
    left join async.concurrency_pool_tracker p on p.concurrency_pool = d.pool
    where not d.pullable and not async.is_paused(d.pool, d.target)
  ) l
  join async.target g on g.target = l.target
  cross join lateral (
    select t.*
    from async.task t
    where coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
      and async.waits_for_launch(t)
    order by t.priority, t.entered, t.task_id
    limit greatest(l.max_workers - l.workers, 0)
  ) h
) c
where c.n <= c.max_workers - c.workers
order by c.priority, c.entered, c.task_id
limit (select greatest(g.workers - async.active_workers(), 0) from async.control g);

-- views/v_leader
-- The leader, in one row. While no orchestrator leads, engine and epoch are those of the last
-- leader, and pid, host, application, since and quiet are null. quiet is the time since the last
-- commit: an idle leader commits every idle_sleep. standbys counts the sessions of pgasync run that
-- wait for the lead. After the loss of a Rust engine they wait for takeover_grace.
create or replace view async.v_leader as
select
  s.pid is not null as leads,
  l.engine,
  l.epoch,
  s.pid,
  s.host,
  s.application,
  case when s.pid is not null then c.running_since end as since,
  s.quiet,
  c.enabled,
  c.paused,
  l.goodbye,
  l.server_id,
  async.standby_sessions() as standbys,
  case when s.pid is null and not l.goodbye and l.engine <> 'sql' then c.takeover_grace end as takeover_grace
-- The planner does not know that these tables have one row each, since they are never analyzed.
from (select r.* from async.control r limit 1) c
left join (select r.* from async.leader r limit 1) l on true
left join (select r.* from async.leader_session() r limit 1) s on true;

-- views/v_target_state
-- Every target and its state: ok; lost (unreachable: since when, the last error, the time of the
-- next attempt, and the time when waiting tasks begin to fail, null if they do not); fencing (sessions of a lost
-- orchestrator are being ended); paused (no task starts); retired (refuses new tasks); unknown (no orchestrator leads).
create or replace view async.v_target_state as
select
  t.target,
  case
    when not s.leads then 'unknown'
    when o.target is not null then 'lost'
    when f.target is not null then 'fencing'
    when t.paused then 'paused'
    when t.retired then 'retired'
    else 'ok'
  end as state,
  case when s.leads then o.since end as since,
  case when s.leads then o.error end as error,
  case when s.leads then o.retry_at end as retry_at,
  case
    -- Tasks wait for the Rust engine, which resolves the reference.
    when s.leads and not t.paused and not (l.engine = 'sql' and async.references_secret(t.connection_string))
      then o.since + c.target_patience
  end as patience_ends,
  coalesce(w.running, 0) as running,
  t.retired,
  t.paused
from async.target t
-- The planner does not know that the table has one row, since it is never analyzed.
cross join (select r.target_patience from async.control r limit 1) c
cross join (select async.leader_exists() as leads) s
-- Before the first election there is no row.
left join (select e.engine from async.leader e limit 1) l on true
left join async.target_outage o on o.target = t.target
left join (
  select distinct e.target
  from async.session e
  where e.epoch < (select l.epoch from async.leader l limit 1)
) f on f.target = t.target
left join (
  select k.target, count(*) as running from async.worker k where k.task_id is not null group by k.target
) w on w.target = t.target
order by t.target;

-- views/v_why_waiting
-- The reasons for waiting: a row for each lane (a pool and a target) with waiting tasks, with the
-- reason for its first task. kind: query, pull (no query; to be offered), offered (a client may
-- take it), deferred. waiting is counted up to 10000; more is true if there are more. The cost
-- grows with the number of lanes, and not with the number of tasks.
create or replace view async.v_why_waiting as
select
  n.concurrency_pool,
  n.target,
  n.kind,
  n.waiting,
  n.more,
  n.oldest,
  clock_timestamp() - n.oldest as waiting_for,
  n.first_task_id,
  case
    when not s.leads and not s.enabled then 'no orchestrator leads, and async.control.enabled is false'
    when not s.leads and async.standby_sessions() > 0 then 'no orchestrator leads: a standby takes over'
    when not s.leads then 'no orchestrator leads: start one with pgasync run or call async.main()'
    when not s.enabled then 'the orchestrator is stopping: async.control.enabled is false'
    when n.kind = 'deferred' and n.back > now() and n.attempt > 0
      then format('waits for attempt %s of %s at %s', n.attempt + 1, n.max_attempts, date_trunc('second', n.back))
    when n.kind = 'deferred' and n.back > now()
      then format('deferred: the first comes back at %s', date_trunc('second', n.back))
    when s.paused then 'no new starts: async.control.paused is true'
    when t.paused then format('target %s is paused', n.target)
    when l.paused then format('pool %s is paused', n.concurrency_pool)
    when n.kind = 'deferred' then 'the deferral is over: it is about to join the queue'
    when n.kind = 'offered' then format('offered: waits for a client to call async.get_tasks(%L)', n.target)
    when t.state is null then 'there is no such target any more: its tasks are about to fail'
    when t.state = 'lost' and n.kind = 'query' and t.patience_ends is null
      then 'needs pgasync run: the password of the target is a reference, which the SQL engine does not resolve'
    when t.state = 'lost' and n.kind = 'query' then format('the target is lost since %s: %s; %stasks that waited until %s fail',
      date_trunc('second', t.since), split_part(t.error, E'\n', 1),
      'next try at ' || date_trunc('second', t.retry_at)::text || '; ', date_trunc('second', t.patience_ends))
    when t.state = 'fencing' and n.kind = 'query' then 'sessions of a lost orchestrator are being ended at the target'
    when p.max_workers <= 0 then 'its pool may hold no task: the limit is 0'
    when p.workers >= p.max_workers then format('its pool is full: %s of %s', p.workers, p.max_workers)
    when n.kind = 'query' and x.sessions >= x.max_sessions and x.busy
      then format('its target has as many sessions as it may have (max_sessions): %s', x.max_sessions)
    when n.kind = 'query' and s.busy >= s.workers then format('all %s workers are busy', s.workers)
    when g.message is not null then g.message
    when l.starts_max > 0 then format('its pool starts at most %s tasks in %s, evenly spaced', l.starts_max, l.interval)
    when n.oldest > clock_timestamp() - interval '5 seconds' then 'it is about to start'
    when t.retired then 'its turn comes: the target is retired, takes no new tasks, and finishes what it has'
    else 'its turn comes as others end; a first task that stays is one whose row a client holds, or whose target '
      'has not been reached yet (async.server_log names targets that block helper sessions)'
  end as reason
from (
  select d.pool as concurrency_pool, d.target, case when d.pullable then 'pull' else 'query' end as kind,
    b.waiting, b.more, b.oldest, b.first_task_id, null::timestamptz as back,
    null::int as attempt, null::int as max_attempts
  from async.discover_lanes() d
  cross join lateral async.lane_backlog(d.pool, d.target, d.pullable) b
  union all
  select o.pool, o.target, 'offered', count(*), false, min(o.entered),
    (array_agg(o.task_id order by o.priority, o.entered, o.task_id))[1], null, null, null
  from async.offer o
  group by o.pool, o.target
  union all
  -- The first 10000 deferred tasks whose deferral ends.
  select coalesce(e.concurrency_pool, e.target), e.target, 'deferred', count(*), sum(count(*)) over () >= 10000,
    min(e.entered), (array_agg(e.task_id order by e.eligible_when, e.task_id))[1], min(e.eligible_when),
    (array_agg(e.attempt order by e.eligible_when, e.task_id))[1],
    (array_agg((e.retry ->> 'max_attempts')::int order by e.eligible_when, e.task_id))[1]
  from (
    select r.task_id, r.concurrency_pool, r.target, r.entered, r.eligible_when, r.attempt, r.retry
    from async.task r
    where r.eligible_when is not null and r.processed is null
    order by r.eligible_when
    limit 10000
  ) e
  group by coalesce(e.concurrency_pool, e.target), e.target
) n
cross join (
  select c.enabled, c.paused, c.workers, async.active_workers() as busy, async.leader_exists() as leads
  from async.control c
  -- The planner does not know that the table has one row, since it is never analyzed.
  limit 1
) s
left join async.v_target_state t on t.target = n.target
left join lateral (
  select coalesce(k.workers, 0) as workers, async.pool_limit(n.concurrency_pool) as max_workers
  from (select) one
  left join async.concurrency_pool_tracker k on k.concurrency_pool = n.concurrency_pool
) p on true
left join async.concurrency_pool l on l.concurrency_pool = n.concurrency_pool
left join lateral (
  select a.max_sessions, (select count(*) from async.session e where e.target = a.target) as sessions,
    exists (select from async.worker w where w.target = a.target and w.task_id is not null) as busy
  from async.target a
  where a.target = n.target and a.max_sessions is not null
) x on true
left join lateral (
  select h.message
  from async.server_log h
  where h.happened > now() - interval '1 minute'
    and h.message like format('task %s cannot be %%', n.first_task_id)
  order by h.server_log desc
  limit 1
) g on n.kind in ('query', 'pull')
order by n.concurrency_pool, n.target, n.kind;

-- views/v_pool
-- Every pool that is configured (each target has one), in use or with waiting tasks: its occupancy,
-- its size, the number of waiting tasks (up to 10000 for each target; more is true if there are
-- more), and the age of the oldest.
create or replace view async.v_pool as
select
  n.concurrency_pool,
  coalesce(k.workers, 0) as running,
  async.pool_limit(n.concurrency_pool) as max_workers,
  coalesce(w.waiting, 0)::bigint as waiting,
  coalesce(w.more, false) as more,
  w.oldest,
  clock_timestamp() - w.oldest as waiting_for,
  coalesce(k.workers, 0) >= async.pool_limit(n.concurrency_pool) as is_full,
  n.retired,
  async.is_paused(n.concurrency_pool, null) as paused
from (
  select a.concurrency_pool, bool_and(a.retired) as retired
  from (
    select c.concurrency_pool, c.retired from async.concurrency_pool c
    union all
    select t.target, t.retired from async.target t
    union all
    select r.concurrency_pool, false from async.concurrency_pool_tracker r where r.workers > 0
    union all
    select d.pool, false from async.discover_lanes() d
  ) a
  group by a.concurrency_pool
) n
left join async.concurrency_pool_tracker k on k.concurrency_pool = n.concurrency_pool
left join (
  select d.pool, sum(b.waiting) as waiting, bool_or(b.more) as more, min(b.oldest) as oldest
  from async.discover_lanes() d
  cross join lateral async.lane_backlog(d.pool, d.target, d.pullable) b
  group by d.pool
) w on w.pool = n.concurrency_pool
order by n.concurrency_pool;

-- views/v_running_task
-- Every RUNNING task, the longest first: its start, its running time, its deadline, and its worker
-- (as published, at most one second old; null for a task that a client pulled).
create or replace view async.v_running_task as
select
  t.task_id,
  t.target,
  coalesce(t.concurrency_pool, t.target) as concurrency_pool,
  t.consumed as since,
  clock_timestamp() - t.consumed as running_for,
  t.times_up,
  w.slot,
  t.query is null as pulled,
  t.priority,
  t.source,
  t.query
from async.task t
left join async.worker w on w.task_id = t.task_id
-- The predicate of the index on deadlines: every claimed task has a deadline.
where (t.times_up is not null or t.yielded is not null) and t.processed is null
  and t.consumed is not null and t.yielded is null
order by t.consumed, t.task_id;

-- views/v_throughput
-- The tasks that were pushed and that ended in the last five seconds, the last minute and the last
-- hour. failed counts every end except FINISHED, so it includes canceled and timed_out. The cost
-- grows with the tasks of that hour, and not with the history.
create or replace view async.v_throughput as
select
  p.period,
  e.entered,
  d.ended,
  d.ended - d.failed as finished,
  d.failed,
  d.canceled,
  d.timed_out,
  (d.ended / extract(epoch from p.period))::float8 as ended_per_second
from (values (interval '5 seconds'), (interval '1 minute'), (interval '1 hour')) as p(period)
cross join lateral (
  select count(*) as entered from async.task t where t.entered >= now() - p.period
) e
cross join lateral (
  select
    count(*) as ended,
    count(*) filter (where t.failed) as failed,
    count(*) filter (where t.finish_status = 'CANCELED') as canceled,
    count(*) filter (where t.finish_status = 'TIMED_OUT') as timed_out
  from async.task t
  where t.processed >= now() - p.period
) d
order by p.period;

-- views/v_failure
-- The tasks that failed or timed out in the last 24 hours, grouped by target, status, SQLSTATE and
-- the first line of the error, in which # stands for each number (async.error_group). The largest
-- group comes first. The cost grows with the tasks of that day, and not with the history.
create or replace view async.v_failure as
select
  t.target,
  t.finish_status,
  e.sqlstate,
  e.message,
  count(*) as tasks,
  min(t.processed) as first_failed,
  max(t.processed) as last_failed,
  max(t.task_id) as last_task_id
from async.task t
cross join lateral async.error_group(t.processing_error) e
where t.failed and t.finish_status <> 'CANCELED' and t.processed >= now() - interval '1 day'
group by t.target, t.finish_status, e.sqlstate, e.message
order by tasks desc, last_failed desc;

-- views/v_lost_session
-- Sessions at targets that must be gone before their tasks are resolved, and that cannot be ended:
-- since when, and the error of the last attempt. async.write_off_session(session_id) removes those
-- that are known to be gone.
create or replace view async.v_lost_session as
select s.session_id, s.target, s.pid, s.epoch, s.lost_since as since, s.lost_error as error
from async.session s
where s.lost_since is not null and not s.written_off and not s.settled
order by s.session_id;

-- views/v_task
-- Every task with its phase, the time that it waited for its last start, and the time that it ran.
-- A filter on phase reads all tasks. A filter on task_id, or on the predicate of an index, does
-- not.
create or replace view async.v_task as
select
  t.task_id,
  async.task_execution_state(t) as phase,
  -- The clocks of a push and of a claim may differ.
  greatest(coalesce(t.consumed, t.processed, clock_timestamp()) - t.entered, interval '0') as waited,
  coalesce(t.processed, clock_timestamp()) - t.consumed as took,
  t.target,
  t.priority,
  t.entered,
  t.consumed,
  t.processed,
  t.yielded,
  t.finish_status,
  t.source,
  t.query,
  t.failed,
  t.processing_error,
  t.asynchronous_finish,
  t.times_up,
  t.task_data,
  t.concurrency_pool,
  t.manual_timeout,
  t.tracked,
  t.track_yielded,
  t.eligible_when,
  t.run,
  t.pushed_by,
  t.run_at,
  t.expires_at,
  t.unique_key,
  t.unique_while,
  t.attempt,
  t.retry,
  t.schedule,
  t.scheduled_for,
  t.keep_result_for,
  t.ended_by
from async.task t;

-- clients/own/is_pushed_by
-- Purpose: whether a task was pushed by one of these roles, by async.task.pushed_by: session_user, or
--   session_user as current_user, of which the latter counts. The names of in_ambiguous read like two
--   names, and are one: roles with as in their names.
-- Returns: bool; null for a task without the column.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines it.)
create or replace function async.is_pushed_by(in_pushed_by text, in_roles text[], in_ambiguous text[]) returns bool
language sql immutable as $function$
  select in_pushed_by operator(pg_catalog.=) any (in_roles)
    or pg_catalog.split_part(in_pushed_by, ' as ', 2) operator(pg_catalog.=) any (in_roles)
      and pg_catalog.split_part(in_pushed_by, ' as ', 3) operator(pg_catalog.=) ''
      and in_pushed_by operator(pg_catalog.<>) all (in_ambiguous)
$function$;

-- clients/own/why_task_waits
-- Purpose: why a READY task of a client waits, for the role that read in_ticket from async.caller: as
--   async.v_why_waiting says it, without the error of its target, and without what concerns the tasks of
--   others.
-- Returns: text; null for a task that does not wait, or that another role pushed.
-- Raises: insufficient_privilege for a ticket that is not that of the caller.
-- Locks: none.
create or replace function async.why_task_waits(in_caller name, in_ticket bytea, in_task_id bigint) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_pool text;
  v_task async.task;
  v_target record;
  v_server record;
  v_slots int;
begin
  perform async.scope_of(in_caller, in_ticket, null);
  select t.* into v_task from async.task t where t.task_id = in_task_id;
  if v_task.task_id is null or v_task.processed is not null or v_task.consumed is not null
    or v_task.yielded is not null or async.is_pushed_by(v_task.pushed_by, async.roles_of(in_caller), async.ambiguous_roles()) is not true
  then
    return null;
  end if;
  v_pool := coalesce(v_task.concurrency_pool, v_task.target);
  select c.enabled, c.paused, c.workers, async.active_workers() as busy, async.leader_exists() as leads into v_server
  from async.control c;
  select s.state, s.since, s.paused, s.patience_ends into v_target
  from async.v_target_state s where s.target = v_task.target;
  select coalesce(k.workers, 0) into v_slots
  from async.concurrency_pool_tracker k where k.concurrency_pool = v_pool;
  return case
    when not v_server.leads and not v_server.enabled then 'no orchestrator leads, and it is disabled'
    when not v_server.leads and async.standby_sessions() > 0 then 'no orchestrator leads: a standby takes over'
    when not v_server.leads then 'no orchestrator leads'
    when not v_server.enabled then 'the orchestrator is stopping'
    when v_task.eligible_when > now() and v_task.attempt > 0
      then format('waits for attempt %s of %s at %s', v_task.attempt + 1, v_task.retry ->> 'max_attempts',
        date_trunc('second', v_task.eligible_when))
    when v_task.eligible_when > now() then format('deferred: it comes back at %s', date_trunc('second', v_task.eligible_when))
    when v_server.paused then 'no new starts: the orchestrator is paused'
    when v_target.paused then format('target %s is paused', v_task.target)
    when async.is_paused(v_pool, null) then format('pool %s is paused', v_pool)
    when v_task.eligible_when is not null then 'the deferral is over: it is about to join the queue'
    when v_task.query is null and v_task.tracked
      then format('offered: waits for a client to call async.get_tasks(%L)', v_task.target)
    when v_target.state is null then 'there is no such target any more: its tasks are about to fail'
    when v_task.query is not null and v_target.state = 'lost' and v_target.patience_ends is null
      then format('the target is lost since %s', date_trunc('second', v_target.since))
    when v_task.query is not null and v_target.state = 'lost'
      then format('the target is lost since %s; tasks that waited until %s fail', date_trunc('second', v_target.since),
        date_trunc('second', v_target.patience_ends))
    when v_task.query is not null and v_target.state = 'fencing'
      then 'sessions of a lost orchestrator are being ended at the target'
    when async.pool_limit(v_pool) <= 0 then 'its pool may hold no task: the limit is 0'
    when v_slots >= async.pool_limit(v_pool) then format('its pool is full: %s of %s', v_slots, async.pool_limit(v_pool))
    when v_task.query is not null and v_server.busy >= v_server.workers
      then format('all %s workers are busy', v_server.workers)
    when v_task.entered > clock_timestamp() - interval '5 seconds' then 'it is about to start'
    else 'its turn comes as others end'
  end;
end
$function$;

-- views/v_my_task
-- The tasks that the reader pushed, or a role whose privileges it has: phase, outcome, times, and why a
-- READY task waits. reason takes a look at the state of the server for each READY task that is read.
-- The barrier keeps conditions of the reader from the tasks of others.
create or replace view async.v_my_task with (security_barrier) as
select
  t.task_id,
  async.task_execution_state(t) as phase,
  t.finish_status,
  t.failed,
  t.target,
  coalesce(t.concurrency_pool, t.target) as concurrency_pool,
  t.priority,
  t.source,
  t.entered,
  t.consumed,
  t.yielded,
  t.processed,
  greatest(coalesce(t.consumed, t.processed, clock_timestamp()) - t.entered, interval '0') as waited,
  coalesce(t.processed, clock_timestamp()) - t.consumed as took,
  t.eligible_when,
  t.times_up,
  t.run_at,
  t.expires_at,
  t.run,
  t.attempt,
  t.unique_key,
  t.schedule,
  t.scheduled_for,
  t.pushed_by,
  t.ended_by,
  t.task_data,
  t.query,
  t.processing_error,
  case when t.processed is null and t.consumed is null and t.yielded is null
    then (select async.why_task_waits(c.caller, c.ticket, t.task_id) from async.caller c)
  end as reason
from async.task t
cross join (select async.roles_of(current_user) as own, async.ambiguous_roles() as ambiguous offset 0) r
where async.is_pushed_by(t.pushed_by, r.own, r.ambiguous);

-- views/v_dead_task
-- The failed tasks whose attempts are used up, with their last error. async.attempt has the attempts.
create or replace view async.v_dead_task as
select
  t.task_id,
  t.target,
  t.attempt,
  t.retry ->> 'name' as retry_policy,
  t.finish_status,
  t.processing_error,
  t.entered,
  t.processed,
  t.source,
  t.query
from async.task t
where t.retry is not null and t.failed
  and t.finish_status in ('FAILED', 'TIMED_OUT')
  and t.attempt >= (t.retry ->> 'max_attempts')::int;

-- metrics/metric_bounds
-- Purpose: the upper bounds of the buckets of a histogram, ascending. The last bucket has none.
-- Returns: float8[]; null for a metric that is no histogram.
-- Raises: nothing.
-- Locks: none.
create or replace function async.metric_bounds(in_metric text) returns float8[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_metric in ('pgasync_task_wait_seconds', 'pgasync_task_run_seconds')
      then '{0.001,0.01,0.1,1,10,60,600,3600,21600,86400}'::float8[]
    when in_metric = 'pgasync_batch_tasks' then '{1,2,4,8,16,32,64,128,256,512,1024}'::float8[]
    when in_metric = 'pgasync_loop_seconds' then '{0.00001,0.0001,0.001,0.01,0.1,1,10}'::float8[]
  end
$function$;

-- metrics/metric_buckets
-- Purpose: how many values fall into each bucket of a histogram. A value falls into the first bucket
--   whose bound is not below it.
-- Returns: bigint[], one more than the bounds of the metric.
-- Raises: nothing.
-- Locks: none.
create or replace function async.metric_buckets(in_metric text, in_values float8[]) returns bigint[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select array_agg(c.observations order by c.place)
  from (
    select n.place, count(v.bucket) as observations
    from generate_series(0, cardinality(async.metric_bounds(in_metric))) as n(place)
    left join (
      select (select count(*) from unnest(async.metric_bounds(in_metric)) as b(bound) where b.bound < o.value) as bucket
      from unnest(in_values) as o(value)
    ) v on v.bucket = n.place
    group by n.place
  ) c
$function$;

-- metrics/add_buckets
-- Purpose: the sums of the buckets of two histograms.
-- Returns: bigint[]; null if both are no histogram.
-- Raises: nothing.
-- Locks: none.
create or replace function async.add_buckets(in_buckets bigint[], in_more bigint[]) returns bigint[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select array_agg(coalesce(s.observations, 0) + coalesce(s.more, 0) order by s.place)
  from unnest(in_buckets, in_more) with ordinality as s(observations, more, place)
$function$;

-- metrics/add_metrics
-- Purpose: adds to the counters of the leader. Counters of older epochs are deleted. A metric has at most
--   1,000 series, of which a histogram has one for each bucket, its sum and its count; labels that come
--   later share the target other.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.metric.
create or replace function async.add_metrics(in_epoch bigint, in_metrics async.metric[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_series_max constant int := 1000;
  -- A task can end with so many statuses, each of which is a series of the target other.
  c_statuses constant int := 5;
  v_row async.metric;
  v_series int;
begin
  delete from async.metric m where m.epoch <> in_epoch;
  foreach v_row in array in_metrics loop
    update async.metric m
    set value = m.value + v_row.value, buckets = async.add_buckets(m.buckets, v_row.buckets)
    where m.metric = v_row.metric and m.labels = v_row.labels;
    continue when found;
    select count(*) into v_series from async.metric m where m.metric = v_row.metric;
    if v_row.labels ? 'target'
      and v_series + (case when v_row.labels ? 'status' then c_statuses else 1 end)
        >= c_series_max / (coalesce(cardinality(v_row.buckets), -1) + 2)
    then
      v_row.labels := jsonb_set(v_row.labels, '{target}', '"other"');
      if v_row.labels ? 'sqlstate_class' then
        v_row.labels := jsonb_set(v_row.labels, '{sqlstate_class}', '""');
      end if;
    end if;
    insert into async.metric as m (metric, labels, epoch, value, buckets)
    values (v_row.metric, v_row.labels, in_epoch, v_row.value, v_row.buckets)
    on conflict on constraint metric_pkey do update
    set value = m.value + excluded.value, buckets = async.add_buckets(m.buckets, excluded.buckets);
  end loop;
end
$function$;

-- metrics/lead_metrics
-- Purpose: publishes the counters of the Rust engine, which keeps them itself. Writes only changed rows.
--   Counters of older epochs are deleted.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.metric.
create or replace function async.lead_metrics(in_epoch bigint, in_metrics async.metric[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.metric m where m.epoch <> in_epoch;
  insert into async.metric as m (metric, labels, epoch, value, buckets)
  select n.metric, n.labels, in_epoch, n.value, n.buckets
  from unnest(in_metrics) n
  -- A condition of "do update" would lock unchanged rows, which writes WAL.
  where not exists (
    select from async.metric o
    where o.metric = n.metric and o.labels = n.labels and (o.value, o.buckets) is not distinct from (n.value, n.buckets))
  on conflict on constraint metric_pkey do update set value = excluded.value, buckets = excluded.buckets;
end
$function$;

-- metrics/note_tasks
-- Purpose: notes tasks that the SQL engine has started or ended, for async.count_tasks. They are noted in a
--   setting of the session, without a statement: a plain task pays nothing for the counters. A rollback
--   undoes it.
-- Returns: the setting.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_tasks(in_what text, in_ids bigint[]) returns text
language plpgsql
as $function$
declare
  -- Only if async.count_tasks has failed for long.
  c_bytes_max constant int := 1000000;
begin
  if coalesce(cardinality(in_ids), 0) = 0
    or length(current_setting('pgasync.' || in_what, true)) > c_bytes_max
  then
    return null;
  end if;
  return set_config('pgasync.' || in_what,
    coalesce(current_setting('pgasync.' || in_what, true), '') || array_to_string(in_ids, ',') || ',', false);
end
$function$;

-- metrics/noted_tasks
-- Purpose: takes the tasks that async.note_tasks has noted.
-- Returns: bigint[]; empty for none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.noted_tasks(in_what text) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_noted constant text := rtrim(coalesce(current_setting('pgasync.' || in_what, true), ''), ',');
begin
  perform set_config('pgasync.' || in_what, '', false);
  return string_to_array(v_noted, ',')::bigint[];
end
$function$;

-- metrics/note_value
-- Purpose: notes an observation of a histogram without labels in a setting of the session (the buckets,
--   then the sum), without a statement.
-- Returns: the setting.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_value(in_metric text, in_bounds float8[], in_value float8) returns text
language plpgsql
as $function$
declare
  v_name constant text := 'pgasync.' || in_metric;
  v_last constant int := cardinality(in_bounds) + 2;
  v_noted float8[] := coalesce(nullif(current_setting(v_name, true), '')::float8[], array_fill(0::float8, array[v_last]));
  v_at int := 1;
begin
  while v_at < v_last - 1 and in_bounds[v_at] < in_value loop
    v_at := v_at + 1;
  end loop;
  v_noted[v_at] := v_noted[v_at] + 1;
  v_noted[v_last] := v_noted[v_last] + in_value;
  return set_config(v_name, v_noted::text, false);
end
$function$;

-- metrics/noted_values
-- Purpose: takes what async.note_value has noted of a histogram.
-- Returns: a row for async.add_metrics; null if nothing was noted.
-- Raises: nothing.
-- Locks: none.
create or replace function async.noted_values(in_metric text) returns async.metric
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_noted constant float8[] := nullif(current_setting('pgasync.' || in_metric, true), '')::float8[];
  v_last constant int := cardinality(v_noted);
begin
  perform set_config('pgasync.' || in_metric, '', false);
  if v_noted is null then
    return null;
  end if;
  return row(in_metric, '{}', 0, v_noted[v_last], v_noted[1:v_last - 1]::bigint[])::async.metric;
end
$function$;

-- metrics/counting_is_due
-- Purpose: whether tasks were noted that async.count_tasks should count now: after five seconds, or when
--   they are many.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.counting_is_due(in_all bool, in_now timestamptz) returns bool
language plpgsql
as $function$
declare
  c_every constant interval := '5 seconds';
  c_bytes_max constant int := 65536;
  v_bytes constant int := coalesce(length(current_setting('pgasync.started', true)), 0)
    + coalesce(length(current_setting('pgasync.ended', true)), 0);
begin
  if v_bytes = 0 then
    return false;
  end if;
  if v_bytes > c_bytes_max or in_all then
    return true;
  end if;
  return async.is_due('counted', c_every, in_now);
end
$function$;

-- metrics/count_tasks
-- Purpose: counts the tasks that the SQL engine has started and ended since the last time, by their rows,
--   and publishes the counters. A task that was restarted or deleted meanwhile does not count as ended.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.metric.
create or replace function async.count_tasks(in_now timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_started constant bigint[] := async.noted_tasks('started');
  v_ended constant bigint[] := async.noted_tasks('ended');
  -- The time of the last call, in microseconds since 1970.
  v_since timestamptz := greatest(
    to_timestamp(coalesce(nullif(current_setting('pgasync.counted_through', true), ''), '0')::float8 / 1000000),
    (select l.led_since from pg_temp.leader_state l));
  v_metrics async.metric[];
begin
  if v_since > in_now then
    -- The clock was set back.
    v_since := '-infinity';
  end if;
  with started as (
    select t.target from unnest(v_started) as s(task_id) join async.task t on t.task_id = s.task_id
  ), waited as (
    select t.target, greatest(0, extract(epoch from s.began - greatest(t.entered, t.run_at))) as waited
    from (
      select w.task_id, w.consumed as began
      from unnest(v_started) as u(task_id)
      join async.task w on w.task_id = u.task_id
      where coalesce(w.attempt, 0) = 0 and w.consumed is not null
      union all
      -- First attempts that have failed since. The tasks that were claimed at v_since were started later.
      select a.task_id, a.began
      from (select distinct d.task_id from unnest(v_started) as d(task_id)) u
      join async.task w on w.task_id = u.task_id and w.attempt > 0
      join async.attempt a on a.task_id = u.task_id
      where a.attempt = 1 and a.began >= v_since and a.began < in_now
    ) s
    join async.task t on t.task_id = s.task_id
  ), ended as (
    select t.target, t.finish_status,
      coalesce(substring(t.processing_error from '^([0-9A-Z]{2})[0-9A-Z]{3}: '), '') as class,
      greatest(0, extract(epoch from coalesce(t.yielded, t.processed) - t.consumed)) as took
    from (select distinct u.task_id from unnest(v_ended) as u(task_id)) e
    join async.task t on t.task_id = e.task_id
    -- Not those that had ended before the last call, and refused an event since.
    where t.processed > v_since
  )
  select array_agg(row(m.metric, m.labels, 0, m.value, m.buckets)::async.metric) into v_metrics
  from (
    select 'pgasync_tasks_started_total' as metric, jsonb_build_object('target', s.target) as labels,
      count(*)::float8 as value, null::bigint[] as buckets
    from started s
    group by s.target
    union all
    select 'pgasync_tasks_ended_total',
      jsonb_build_object('target', e.target, 'status', e.finish_status, 'sqlstate_class', e.class),
      count(*), null
    from ended e
    group by e.target, e.finish_status, e.class
    union all
    -- The failed attempts since the last time, but for the last one of a task.
    select 'pgasync_retries_total', jsonb_build_object('target', t.target), count(*), null
    from (select distinct u.task_id from unnest(v_ended) as u(task_id)) r
    join async.task t on t.task_id = r.task_id and t.retry is not null
    join async.attempt a on a.task_id = r.task_id
    where a.status in ('FAILED', 'TIMED_OUT') and a.ended > v_since and a.ended <= in_now
      and not (t.processed is not null and t.run = a.run)
    group by t.target
    union all
    select 'pgasync_task_wait_seconds', jsonb_build_object('target', s.target),
      sum(s.waited), async.metric_buckets('pgasync_task_wait_seconds', array_agg(s.waited))
    from waited s
    group by s.target
    union all
    select 'pgasync_task_run_seconds', jsonb_build_object('target', e.target),
      sum(e.took), async.metric_buckets('pgasync_task_run_seconds', array_agg(e.took))
    from ended e
    where e.took is not null
    group by e.target
  ) m;
  v_metrics := v_metrics
    || array_remove(array[async.noted_values('pgasync_batch_tasks'), async.noted_values('pgasync_loop_seconds')], null);
  perform set_config('pgasync.counted_through', (extract(epoch from in_now) * 1000000)::bigint::text, false);
  perform async.add_metrics(l.epoch, v_metrics) from pg_temp.leader_state l;
end
$function$;

-- metrics/read_metrics
-- Purpose: the metrics of the server, with the names that pgasync run shows at /metrics: the counters that
--   the leader published, and the gauges. A metric has at most 1,000 series; the names after them share the
--   label value other. The cost grows with the number of lanes, pools and targets, and not with the number
--   of tasks.
-- Returns: one row for each series.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: a list of the metrics.)
create or replace function async.read_metrics() returns table (name text, labels jsonb, value float8)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  c_series_max constant int := 1000;
  v_leads constant bool := async.leader_exists();
begin
  return query
  select m.metric, m.labels, m.value
  from async.metric m
  join async.leader l on l.epoch = m.epoch
  where m.buckets is null;

  return query
  select h.metric || s.suffix, h.labels || s.le, s.value
  from async.metric h
  join async.leader l on l.epoch = h.epoch
  cross join lateral (
    select '_bucket' as suffix,
      jsonb_build_object('le', case when c.place > cardinality(c.bounds) then '+Inf' else c.bounds[c.place]::text end) as le,
      sum(c.observations) over (order by c.place)::float8 as value
    from (
      select b.place, b.observations, async.metric_bounds(h.metric) as bounds
      from unnest(h.buckets) with ordinality as b(observations, place)
    ) c
    union all
    select '_count', '{}'::jsonb, (select sum(b.observations) from unnest(h.buckets) as b(observations))::float8
    union all
    select '_sum', '{}'::jsonb, h.value
  ) s
  where h.buckets is not null;

  return query
  select 'pgasync_build_info'::text, jsonb_build_object('version', c.version, 'engine', coalesce(l.engine, 'none')),
    1::float8
  from async.client_control c left join async.leader l on true
  union all
  select 'pgasync_leader', '{}'::jsonb, v_leads::int::float8
  union all
  select 'pgasync_workers_busy', '{}'::jsonb, count(w.task_id)::float8 from async.worker w
  union all
  select 'pgasync_workers_max', '{}'::jsonb, c.workers::float8 from async.control c
  union all
  select 'pgasync_fences_open', '{}'::jsonb, count(distinct s.target)::float8
  from async.session s left join async.leader l on true
  where s.epoch < l.epoch or s.lost_since is not null and not s.written_off and not s.settled;

  return query
  with pool as (
    select p.pool, coalesce(k.workers, 0) as used, async.pool_limit(p.pool) as slots
    from (
      select c.concurrency_pool as pool from async.concurrency_pool c
      union
      select t.target from async.target t
      union
      select r.concurrency_pool from async.concurrency_pool_tracker r where r.workers > 0
    ) p
    left join async.concurrency_pool_tracker k on k.concurrency_pool = p.pool
  ), backlog as (
    select b.target, sum(b.waiting) as waiting, max(b.oldest_seconds) as oldest from async.backlog() b group by b.target
  ), gauge as (
    select 'pgasync_tasks_waiting' as metric, 'target' as label, b.target as key, b.waiting::float8 as value, 'sum' as rest
    from backlog b
    union all
    select 'pgasync_oldest_waiting_seconds', 'target', b.target, b.oldest, 'max' from backlog b
    union all
    select 'pgasync_pool_slots_used', 'pool', p.pool, p.used, 'sum' from pool p
    union all
    select 'pgasync_pool_slots_max', 'pool', p.pool, p.slots, 'sum' from pool p
    union all
    select 'pgasync_sessions', 'target', s.target, count(*), 'sum'
    from async.session s join async.leader l on l.epoch = s.epoch
    group by s.target
    union all
    select 'pgasync_target_up', 'target', t.target, (o.target is null)::int, 'min'
    from async.target t
    left join async.target_outage o on o.target = t.target
    where v_leads
  ), placed as (
    select g.metric, g.label, g.value, g.rest,
      case when row_number() over (partition by g.metric order by g.key = 'other', g.key) < c_series_max then g.key
        else 'other' end as key
    from gauge g
  )
  select p.metric, jsonb_build_object(p.label, p.key),
    case p.rest when 'sum' then sum(p.value) when 'min' then min(p.value) else max(p.value) end
  from placed p
  group by p.metric, p.label, p.key, p.rest;
end
$function$;

-- views/v_metric
-- The metrics, for any exporter that reads SQL: the names that pgasync run shows at /metrics, for both
-- engines. The counters are those of the present leader, or of the last one, and a few seconds old. The
-- gauges are computed now. Members of pg_monitor may read it.
create or replace view async.v_metric as
select m.name, m.labels, m.value
from async.read_metrics() m
order by m.name, m.labels;

-- install/grant_monitor
-- Members of pg_monitor may read the metrics: an exporter needs no other right.
do $grant_monitor$
begin
  grant usage on schema async to pg_monitor;
  grant select on async.v_metric to pg_monitor;
  grant execute on function async.read_metrics() to pg_monitor;
end
$grant_monitor$;

-- comments/configuration
-- The tables of the configuration. async.configure changes them.
comment on table async.control is
  'One row: the settings of the orchestrator, and its published state. Change the settings with '
  'async.configure.';
comment on column async.control.enabled is
  'False stops the orchestrator: running queries have ten seconds to end; then they are '
  'canceled, and their tasks return to the queue. async.main and pgasync run end at once while '
  'it is false.';
comment on column async.control.workers is
  'The number of queries that run at the same time, over all targets. It is also the limit on '
  'connections for tasks.';
comment on column async.control.idle_sleep is
  'The longest time in seconds between two polls without work. Pushes, requests and '
  'async.configure end the sleep. On the SQL engine deferred tasks, deadlines of tasks without a '
  'query and LOOP routines wait for the next poll.';
comment on column async.control.heavy_maintenance_sleep is
  'The time between two deletions of finished tasks that are older than task_keep_duration.';
comment on column async.control.task_keep_duration is
  'The time that finished tasks and log lines are kept.';
comment on column async.control.default_timeout is
  'The time from the first start to the deadline of a task, when neither the task nor its target '
  'has a timeout. Null is no deadline.';
comment on column async.control.advisory_mutex_id is
  'The key of an advisory lock that the leader holds besides its own, whose key changes with '
  'each election. A session of a member of the owner that holds this lock keeps every '
  'orchestrator from leading; those of other roles do not. Change the key if another application '
  'of the owner uses it.';
comment on column async.control.self_target is
  'The name of the server database itself as a target. The target SELF is the same. Only the '
  'owner may change it.';
comment on column async.control.self_connection_string is
  'The connection string of the server database for the orchestrator. A missing port, database '
  'or user is that of the server. It may contain a password, and has no reference to a secret. '
  'Only the owner may change or read it.';
comment on column async.control.self_concurrency is
  'The size of the pool of the server database as a target. On the SQL engine it is also the '
  'number of sessions for probes, cancels and fences, 3 at least.';
comment on column async.control.last_heavy_maintenance is
  'When the last complete deletion of old tasks began.';
comment on column async.control.running_since is
  'When the leader began to lead. Null after a goodbye.';
comment on column async.control.paused is 'True prevents new launches. Running queries go on.';
comment on column async.control.pid is
  'The process id of the leader session at the server. Null after a goodbye.';
comment on column async.control.busy_sleep is
  'On the SQL engine the longest time in seconds between two polls while queries run. On the Rust '
  'engine the shortest time between two runs of the LOOP routines.';
comment on column async.control.light_maintenance_sleep is
  'The time between two deletions of old log lines. The SQL engine also recounts its pools at '
  'this interval.';
comment on column async.control.last_light_maintenance is 'When old log lines were last deleted.';
comment on column async.control.default_concurrency_pool_workers is
  'The size of a pool that is not configured.';
comment on column async.control.startup_routines is
  'The routines that the orchestrator calls when it starts to lead: for each the text after '
  'CALL. async.push_routine adds one. Only the owner may change them.';
comment on column async.control.loop_routines is
  'The routines that the orchestrator calls in every cycle: for each the text after CALL. '
  'async.push_routine adds one. Only the owner may change them.';
comment on column async.control.version is 'The version of the server part.';
comment on column async.control.debug_log is
  'True keeps the lines of level DEBUG that async.log writes.';
comment on column async.control.target_patience is
  'The time that tasks wait for an unreachable target before they fail.';
comment on column async.control.takeover_grace is
  'The time that a successor waits before it takes the lead of a pgasync run that was lost.';
comment on column async.control.result_bytes_max is
  'The most bytes of the rows that are kept of one task, as JSON in UTF-8: 1024 to 16777216.';
comment on column async.control.receipt_keep is
  'How long receipts stay at their targets after their tasks have ended.';
comment on column async.control.default_retry is
  'The retry policy of tasks whose target names none. Null or the name none: no policy.';
comment on column async.control.trigger_search_path is
  'The schemas in which triggers on async.task and routines find names without a schema. A '
  'document of async.configure cannot change it; the owner sets it with '
  'async.set_trigger_search_path.';

comment on table async.target is
  'The targets: databases that run tasks. Change them with async.configure. Foreign keys of '
  'clients may refer to target.';
comment on column async.target.target is 'The name of the target. It is required.';
comment on column async.target.max_concurrency is
  'The size of the pool of the target: how many of its tasks run at the same time.';
comment on column async.target.connection_string is
  'The connection string of the target, in either form of libpq, used on the server. It may '
  'contain a password, or a reference to one. Only the owner can read it. Null is possible with '
  'asynchronous_finish alone: then only clients take its tasks.';
comment on column async.target.asynchronous_finish is
  'True when the end of the query makes a task YIELDED, and async.finish finishes it; and when '
  'clients pull tasks without a query from it.';
comment on column async.target.default_timeout is
  'The time from the first start to the deadline of tasks without a timeout of their own. Null '
  'is control.default_timeout.';
comment on column async.target.max_sessions is
  'The most sessions for tasks that the orchestrator has at the target, over all pools. Tasks of '
  'every pool share these sessions and wait for one. The short connections for probes, cancels '
  'and fences are not counted. Null is no limit; in a document null keeps the present value.';
comment on column async.target.default_retry is
  'The retry policy of tasks that name none. Null: control.default_retry. The name none: no '
  'policy.';
comment on column async.target.concurrency_track_yielded is
  'True when YIELDED tasks keep their pool slots, unless the task says otherwise.';
comment on column async.target.session_reset is
  'True when each task starts in a clean session. False omits the reset, which is faster.';
comment on column async.target.receipts is
  'True when the target has the table of async.target_setup, so that tasks may have receipts.';
comment on column async.target.tags is
  'The tags of the target: async.targets and schedules find it by each. An empty array removes '
  'them.';
comment on column async.target.paused is
  'True while no task of the target starts. What runs goes on. A document that does not name it '
  'leaves it as it is.';
comment on column async.target.retired is
  'True when the target refuses new tasks and finishes its present ones. A document of '
  'async.configure that has the list without the target sets it.';

comment on table async.concurrency_pool is
  'The configured concurrency pools: limits on how many tasks run at once. Change them with '
  'async.configure.';
comment on column async.concurrency_pool.concurrency_pool is
  'The name of the pool. It is required.';
comment on column async.concurrency_pool.max_workers is
  'The size of the pool: how many of its tasks run at the same time. It is required for a new '
  'pool.';
comment on column async.concurrency_pool.starts_max is
  'The most tasks of the pool that start in interval, evenly spaced. 0: no limit.';
comment on column async.concurrency_pool.interval is
  'The time in which at most starts_max tasks start. It is required with starts_max.';
comment on column async.concurrency_pool.paused is
  'True while no task of the pool starts. What runs goes on. A document that does not name it '
  'leaves it as it is.';
comment on column async.concurrency_pool.retired is
  'True when the pool refuses new tasks and finishes its present ones. A document of '
  'async.configure that has the list without the pool sets it.';

comment on table async.retry_policy is
  'The retry policies. A push copies the policy of its task, so a change affects later pushes only. '
  'Change them with async.configure.';
comment on column async.retry_policy.retry_policy is
  'The name of the policy. It is required, and is not none.';
comment on column async.retry_policy.max_attempts is
  'How many attempts a task has, the first one included.';
comment on column async.retry_policy.delay is 'The delay before the second attempt.';
comment on column async.retry_policy.backoff is
  'Each further delay is this multiple of the one before.';
comment on column async.retry_policy.delay_max is 'The longest delay.';
comment on column async.retry_policy.jitter is
  'The share of a delay by which it is shortened at most. It depends on the task and the attempt.';
comment on column async.retry_policy.sqlstates is
  'Which errors are retried: SQLSTATEs, classes (their first two characters), transient, any, '
  'and reported (async.finish with FAILED for a pulled or yielded task).';
comment on column async.retry_policy.timeouts is 'True when timeouts are retried.';
comment on column async.retry_policy.unreachable is
  'True when tasks that waited for target_patience for an unreachable target are retried.';
comment on column async.retry_policy.unknown is
  'True when tasks with an unknown outcome are retried, if may_run_twice is true as well.';
comment on column async.retry_policy.may_run_twice is
  'True when the effects of a task may happen twice. Without it no unknown outcome is retried, and '
  'no text of which a part may be committed when it fails.';

-- comments/state
-- The tables with the state of orchestrator and clients.
comment on table async.concurrency_pool_tracker is
  'The occupancy of the pools, at most one second old. The leader writes it.';
comment on column async.concurrency_pool_tracker.concurrency_pool is 'The name of the pool.';
comment on column async.concurrency_pool_tracker.workers is
  'The number of tasks that hold a pool slot.';
comment on column async.concurrency_pool_tracker.max_workers is 'The size of the pool.';

comment on table async.metric is
  'Internal. The counters of the present leader, or of the last one, a few seconds old. The '
  'leader writes it. async.v_metric shows them.';
comment on column async.metric.metric is 'The name of the metric.';
comment on column async.metric.labels is 'The labels of the series.';
comment on column async.metric.epoch is 'The epoch of the leader that counted.';
comment on column async.metric.value is 'The count. For a histogram the sum of all observations.';
comment on column async.metric.buckets is
  'For a histogram the number of observations in each bucket. Null for a counter.';

comment on table async.worker is
  'The workers of the leader and their tasks, at most one second old. The leader writes it.';
comment on column async.worker.slot is 'The number of the worker, from 1.';
comment on column async.worker.name is 'The name of the worker.';
comment on column async.worker.target is
  'The target that the worker is connected to. Null without a connection.';
comment on column async.worker.task_id is 'The task that the worker runs. Null without a task.';
comment on column async.worker.running_since is
  'When the worker took the task. Null without a task.';

comment on table async.target_at_self is
  'Internal. Targets that lead to the server database itself, as a member of the owner of the '
  'schema. Their use needs a grant on SELF. Written by the leader when it registers a session.';
comment on column async.target_at_self.target is 'The name of the target.';
comment on column async.target_at_self.connection_string is
  'The connection string under which it was seen. May hold a password: only the owner reads it.';
comment on column async.target_at_self.noticed is 'When it was seen.';

comment on table async.target_outage is
  'The targets that the leader cannot reach, at most one second old. The leader writes it.';
comment on column async.target_outage.target is 'The name of the target.';
comment on column async.target_outage.since is 'When the target became unreachable.';
comment on column async.target_outage.error is
  'The error of the last attempt to connect, without passwords.';
comment on column async.target_outage.retry_at is
  'The time of the next attempt. Null when the engine does not publish it.';

comment on table async.server_log is
  'The log. async.tail() and async.tail_once() show it. Lines are kept for '
  'control.task_keep_duration.';
comment on column async.server_log.server_log is 'The number of the line. It grows with time.';
comment on column async.server_log.happened is 'When the line was written.';
comment on column async.server_log.level is 'NOTICE, WARNING, INFO, DEBUG or ERROR.';
comment on column async.server_log.message is
  'The message. Passwords in connection strings are masked.';

comment on table async.request is
  'The requests of clients for unfinished tasks that the leader has not applied yet. async.finish, '
  'cancel and defer write them.';
comment on column async.request.request_id is
  'The number of the request. The requests for a task are applied in this order.';
comment on column async.request.task_id is 'The task of the request.';
comment on column async.request.status is 'The requested status.';
comment on column async.request.error_message is 'The message for processing_error of the task.';
comment on column async.request.duration is
  'The time before the task may run again. Required for DEFERRED.';
comment on column async.request.requested is 'When the request was made.';
comment on column async.request.requested_by is
  'The role that made the request, by its login: its session_user. Null for one of the engine.';

comment on table async.offer is
  'The offers: tasks without a query that hold a pool slot, and that no client has taken yet.';
comment on column async.offer.task_id is 'The task that is offered.';
comment on column async.offer.target is 'The target of the task.';
comment on column async.offer.pool is 'The pool of the pool slot.';
comment on column async.offer.priority is 'The priority of the task.';
comment on column async.offer.entered is 'When the task was pushed.';
comment on column async.offer.timeout is
  'The time from the taking of the offer to the deadline, for a task without a manual_timeout. '
  'Null is no deadline.';
comment on column async.offer.offered is 'When the offer was made.';

comment on table async.leader_lock is
  'Internal. One row: how the present leader is recognized.';
comment on column async.leader_lock.pid is 'The pid of the backend that won the last election.';
comment on column async.leader_lock.key is
  'The key of the advisory lock that this backend holds as long as it leads. Each election draws another.';
comment on sequence async.leader_sleep is
  'Whether the leader sleeps: 1 while pushes and requests notify it, 0 while it polls. Only the leader '
  'writes it.';
comment on table async.configuration_lock is
  'Internal. Empty. Calls of async.configure wait for each other here.';
comment on table async.leader is 'One row: the identity of this server, and its last leader.';
comment on column async.leader.server_id is
  'The id of this server in the application_name of its sessions at targets.';
comment on column async.leader.system_identifier is
  'The system identifier of the cluster that server_id belongs to.';
comment on column async.leader.database_oid is 'The oid of the database that server_id belongs to.';
comment on column async.leader.epoch is
  'The number of the last election. It grows with each election.';
comment on column async.leader.engine is 'The engine of the last leader: sql or rust.';
comment on column async.leader.generation is
  'The number of the last rotation of async.launch_mark.';
comment on column async.leader.goodbye is
  'True when the last leader shut down gracefully and left no session behind.';
comment on column async.leader.resign_epoch is
  'The epoch whose leader a forced takeover asks to resign. Null without a takeover.';

comment on table async.election is
  'The elections, and the server on which each took place.';
comment on column async.election.epoch is 'The epoch that began with the election.';
comment on column async.election.nonce is
  'The nonce: a random text. Epoch and nonce are part of the names of the leader''s sessions at '
  'targets.';
comment on column async.election.elected is 'When the election took place.';
comment on column async.election.address is 'The address of the server. Null over a Unix socket.';
comment on column async.election.port is 'The port of the server.';
comment on column async.election.timeline is
  'The timeline of the server. Null when the role may not read it.';
comment on column async.election.system_identifier is
  'The system identifier of the server. Null when the role may not read it.';
comment on column async.election.server_started is 'When the server was started.';
comment on column async.election.moved is
  'True when address, port or timeline differ from those of the previous election.';

comment on table async.session is
  'The sessions that leaders opened at targets and that are not known to be gone.';
comment on column async.session.session_id is 'The number of the session.';
comment on column async.session.epoch is 'The epoch of the leader that opened it.';
comment on column async.session.slot is 'The number of the worker that opened it.';
comment on column async.session.target is 'The target of the session.';
comment on column async.session.connection_string is
  'The connection string that it was opened with. May contain a password. Only the owner can read '
  'it.';
comment on column async.session.role is 'The role of the session.';
comment on column async.session.pid is 'The process id of its backend at the target.';
comment on column async.session.backend_start is
  'When its backend was started, by the clock of the target.';
comment on column async.session.registered is 'When it was registered.';
comment on column async.session.server_started is
  'When the server of the target was started. Null when a version before 0004_sessions '
  'registered it.';
comment on column async.session.server_address is
  'The address of the server of the target. Null over a Unix socket.';
comment on column async.session.server_port is
  'The port of the server of the target. Null over a Unix socket.';
comment on column async.session.system_identifier is
  'The system identifier of the server of the target. Null when the role may not read it.';
comment on column async.session.timeline is
  'The timeline of the server of the target. Null when the role may not read it.';
comment on column async.session.written_off is
  'True when an operator has declared that the session is gone (async.write_off_session).';
comment on column async.session.at_self is
  'True for a session at the server database itself, of a member of the owner of the schema.';
comment on column async.session.lost_since is
  'Since when the session cannot be ended. Null before the first attempt, and while a leader uses '
  'the session.';
comment on column async.session.lost_error is
  'The error of the last attempt to end the session, without passwords.';
comment on column async.session.written_off_by is
  'The role that wrote the session off. Null if none did.';
comment on column async.session.settled is
  'True when the session is gone, and stays for the receipt of a run that is not recorded.';

comment on table async.receipt is
  'The receipts that runs may have written at their targets. A row is written before the launch, and '
  'deleted with the receipt, control.receipt_keep after the end of the task.';
comment on column async.receipt.task_id is 'The task whose run may have written it.';
comment on column async.receipt.run is 'The run of the task.';
comment on column async.receipt.server_id is 'The id of this server, in the key at the target.';
comment on column async.receipt.election is
  'The nonce of the election of the leader that launched the run, in the key at the target.';
comment on column async.receipt.session_id is 'The session of the run, in async.session.';
comment on column async.receipt.target is 'The target.';
comment on column async.receipt.marked is 'When the launch was marked.';

comment on table async.launch_mark is
  'Internal. The launch marks: the claimed tasks whose queries were sent or are about to be '
  'sent. The table is unlogged, so it is empty after a crash, and then every claimed task counts '
  'as launched.';
comment on column async.launch_mark.task_id is 'The task. 0 in the sentinel.';
comment on column async.launch_mark.run is
  'The run of the task. In the sentinel, async.leader.generation.';
comment on column async.launch_mark.session_id is
  'The session for the query. 0 when any registered session of the target may run it.';

comment on table async.attempt is
  'The ended attempts of tasks with a retry policy, except for a success at the first attempt.';
comment on column async.attempt.task_id is 'The id of the task.';
comment on column async.attempt.run is 'The run of the task.';
comment on column async.attempt.attempt is
  'The number of the attempt, from 1. A restart of the task begins with 1 again.';
comment on column async.attempt.began is 'The claim. Null if the task was not claimed.';
comment on column async.attempt.ended is 'The end of the attempt.';
comment on column async.attempt.status is 'How the attempt ended.';
comment on column async.attempt.error is 'The error or message of the end.';
comment on column async.attempt.ended_by is
  'The role whose request ended the attempt. Null for any other end.';

-- comments/schedules
-- The tables of schedules. async.schedule and async.configure change them.
comment on table async.schedule is
  'The schedules. The leader pushes their tasks. async.v_schedule shows them.';
comment on column async.schedule.schedule is 'The name of the schedule.';
comment on column async.schedule.owner is
  'The role that made the schedule. Its grants count when the schedule fires.';
comment on column async.schedule."when" is
  'The times: cron with five or six fields, or an interval, as async.next_time reads it.';
comment on column async.schedule.time_zone is 'The time zone of the fields of when.';
comment on column async.schedule.query is 'The query of its tasks. Null for tasks that clients pull.';
comment on column async.schedule.target is
  'The target of its tasks; tag:NAME is every target that has the tag when the schedule fires.';
comment on column async.schedule.overlap is
  'What a time does at a target at which a task of the schedule has not finished: skip, buffer_one, '
  'buffer_all, cancel_other or allow_all.';
comment on column async.schedule.catch_up is
  'Which times fire later when no orchestrator could fire them: none, last or all.';
comment on column async.schedule.priority is 'The priority of its tasks. Null: 0.';
comment on column async.schedule.concurrency_pool is
  'The concurrency pool of its tasks. Null: that of the target.';
comment on column async.schedule.timeout is 'The timeout of its tasks. Null: that of the target.';
comment on column async.schedule.task_data is 'The task_data of its tasks.';
comment on column async.schedule.track_yielded is
  'Whether its tasks keep their pool slots while they are yielded. Null: as the target says.';
comment on column async.schedule.source is 'The source of its tasks.';
comment on column async.schedule.retry is
  'The retry policy of its tasks. Null: that of the target or of control.';
comment on column async.schedule.expires_after is
  'How long after its push a task expires (async.task.expires_at). Null: never.';
comment on column async.schedule.receipt is 'True when its tasks have receipts.';
comment on column async.schedule.configured is
  'True when async.configure has made the schedule, false when async.schedule has.';
comment on column async.schedule.paused is 'True while the schedule does not fire.';
comment on column async.schedule.last_time is
  'All times up to this one are decided: they have fired, wait in async.schedule_wait, or passed.';
comment on column async.schedule.next_time is
  'The first time after last_time. In async.v_schedule null while the schedule is paused.';
comment on column async.schedule.look_at is
  'When the leader looks at the schedule: at next_time, or earlier while a time waits. Null while '
  'the schedule is paused.';
comment on column async.schedule.last_fired is
  'The last time for which a task was pushed. Null before the first one.';
comment on column async.schedule.last_task_id is 'The id of the task that was pushed last.';
comment on column async.schedule.last_skipped is
  'The last time that was skipped at a target because an earlier task had not finished.';
comment on column async.schedule.last_refused is 'When a push was refused last.';
comment on column async.schedule.last_refusal is
  'Why a push was refused last: SQLSTATE and message, without passwords.';
comment on column async.schedule.refusal_logged is 'When last_refusal was written to the log.';

comment on table async.schedule_wait is
  'Internal. Times of schedules that wait for the end of the unfinished task of the schedule at '
  'the target.';
comment on column async.schedule_wait.schedule is 'The schedule.';
comment on column async.schedule_wait.target is 'The target.';
comment on column async.schedule_wait.scheduled_for is 'The time of the schedule that waits.';

comment on view async.v_schedule is
  'The schedules, with their next and last times. Query, task_data and last_refusal are shown to '
  'the owner of the schedule, the owner of the schema, and administrators.';
comment on column async.v_schedule.last_status is
  'The finish status or the phase of the task that was pushed last.';
comment on column async.v_schedule.waiting is
  'How many times wait for the end of a task, over all targets.';

-- comments/calls
-- The calls of the server part. docs/errors.md lists the error codes.
comment on procedure async.main(bool, bool) is
  'Leads: runs tasks until it is canceled, or control.enabled is set to false. Returns at once, '
  'with a notice, while another orchestrator leads. _force takes the lead from it. _manual_mode '
  'prepares and returns; then async.cycle() runs one cycle. For the owner. Raises PA206, PA208, '
  'PA209.';
comment on procedure async.cycle(timestamptz, bool) is
  'Runs one cycle of the orchestrator in a session that async.main(_manual_mode => true) prepared. '
  'Returns the time of the last work. Raises PA207.';
comment on function async.finish_internal(bigint[], async.finish_status_t, text, text, interval) is
  'Ends, defers or pauses tasks: a task with a running query when the query ends, any other at '
  'once. For routines, and for triggers on async.task, in the leader session. Raises PA201, PA202, '
  'PA203.';
comment on function async.finish_internal(bigint[], async.finish_status_t, text, text) is
  'The same without a duration.';
comment on function async.push_routine(async.routine_type_t, text) is
  'Registers a procedure that the orchestrator calls when it starts (STARTUP) or in every cycle '
  '(LOOP). _routine is the text after CALL. A second registration changes nothing. Raises PA090.';
comment on function async.next_time(text, text, timestamptz) is
  'The next time of a schedule after _after: cron with five or six fields in a time zone, or an '
  'interval such as "every 30 seconds". Raises PA0A0.';
comment on function async.schedule(
    text, text, text, text, text, text, text, int, text, interval, jsonb, bool, text, text, interval,
    bool) is
  'Makes a schedule, or replaces the one of this name: the leader pushes the query to the target '
  '(or tag:NAME) at the times of _when, for the calling role. Returns the next time. Raises PA0A0, '
  'PA0A1, PA0A2, PA0A5, and the errors of async.push about its options.';
comment on function async.schedule_as(name, bytea, jsonb) is
  'Internal. async.schedule for the role that read the ticket from async.caller.';
comment on function async.unschedule(text) is
  'Removes a schedule. Its tasks go on. Raises PA0A2, PA0A3, PA0A4.';
comment on function async.pause_schedule(text) is
  'Pauses a schedule. Its tasks go on. Raises PA0A3, PA0A4.';
comment on function async.resume_schedule(text) is
  'Ends the pause of a schedule, and returns its next time. The times during the pause have passed. '
  'Raises PA0A3, PA0A4.';
comment on function async.change_schedule_as(name, bytea, text, text) is
  'Internal. async.unschedule, async.pause_schedule and async.resume_schedule for the role that '
  'read the ticket from async.caller.';
comment on function async.log(text, text) is
  'Writes a line to the log, and raises it to the caller at the level NOTICE, WARNING, INFO, DEBUG '
  'or ERROR. ERROR raises PA070, and the line stays in the log. Raises PA071 for another level.';
comment on function async.log(text) is
  'Writes a NOTICE to the log, and raises it to the caller. The line is kept when the '
  'transaction of the caller commits.';
comment on function async.tail_once(bigint, text, int) is
  'The lines of the log after a line, the oldest first; without one, the newest 100. _grep keeps '
  'the lines that contain it.';
comment on procedure async.tail(text, int, interval) is
  'Shows new lines of the log as notices for the time _for; without it, until it is canceled. _grep '
  'keeps the lines that contain it. Raises PA072 when _for is negative.';
comment on function async.active_workers() is
  'The number of workers that run a task, at most one second old.';
comment on function async.worker_info() is
  'The state of the workers: an array of objects with slot, target, task_id, running_since, query '
  'and priority. Null without workers.';
comment on function async.reinitialize_workers() is
  'Applies a changed control.workers: at once in the leader session, otherwise at the next poll of '
  'the orchestrator.';
comment on function async.set_concurrency_pool_tracker(text[]) is
  'Adds pools to async.concurrency_pool_tracker, for scripts of the original library. The leader '
  'does so by itself.';
comment on function async.interval_pretty(interval) is
  'An interval in short form: 1d 2h 3m 4s, 3m 4s, 1.5s.';
comment on function async.write_off_session(bigint) is
  'Declares that a session of async.v_lost_session is gone, so that its tasks end. Raises PA214.';
comment on function async.target_setup(text) is
  'The SQL that a target needs for tasks with receipts, to be run in its database. Raises PA011.';
comment on function async.set_trigger_search_path(text[]) is
  'Sets the schemas in which triggers on async.task and routines find unqualified names. For the '
  'owner. Raises PA061 for a schema that does not exist.';
comment on function async.adopt() is
  'Makes a physical copy of a server (a restored backup, a promoted clone) a server of its own. '
  'Returns its new id. For the owner. Raises PA211 while an orchestrator leads.';
comment on function async.schema_fingerprint() is
  'The fingerprint of the texts that the schema was installed from: 16 hexadecimal digits.';
comment on function async.request_finish(bigint[], async.finish_status_t, text, interval) is
  'Internal. Writes the requests of async.finish, cancel and defer on the server. Returns a '
  'warning, or null. Raises PA020, PA021, PA022.';
comment on function async.pool_limit(text) is
  'Internal. The number of pool slots of a pool.';
comment on function async.is_paused(text, text) is
  'Internal. True while a pool or a target is paused.';
comment on function async.is_pushed_by(text, text[], text[]) is
  'Internal. True for the pushed_by of a task that one of the roles has pushed.';
comment on function async.why_task_waits(name, bytea, bigint) is
  'Internal. Why a READY task waits, for the role that pushed it and that read the ticket from '
  'async.caller.';
comment on function async.leader_exists() is
  'Internal. True while an orchestrator leads.';
comment on function async.waits_for_launch(async.task) is
  'Internal. True for a READY task with a query that is not deferred.';
comment on function async.waits_for_offer(async.task) is
  'Internal. True for a READY task without a query that is neither deferred nor offered.';
comment on function async.discover_lanes() is
  'Internal. The lanes, pairs of a pool and a target, with READY tasks. pullable: the tasks have '
  'no query, and clients pull them.';
comment on function async.error_group(text) is
  'The group of an error: its SQLSTATE, and its first line, in which # stands for each '
  'number.';
comment on function async.lane_backlog(text, text, bool) is
  'Internal. The READY tasks of a lane: their number, counted up to 10000 (more: there are '
  'more), the first one, and when the oldest was pushed.';
comment on function async.read_metrics() is
  'Internal. The metrics of the server: one row for each series. async.v_metric has them in '
  'order.';
comment on function async.leader_session() is
  'Internal. The leader session: its process id, the host of its client, its application_name, '
  'and the time since its last commit. No row while no orchestrator leads.';
comment on function async.standby_sessions() is
  'Internal. The number of sessions of pgasync run in this database that do not lead.';
comment on function async.await_ends(bigint[], timestamptz) is
  'Internal. Waits until tasks have ended. async.wait_for(bigint[], interval) calls it.';
comment on function async.set_target(text, jsonb) is
  'Adds a target, or changes the given settings of one and revives it. The settings are the keys '
  'of an element of targets in async.configure. Other targets stay as they are. A running leader '
  'applies the change. Raises PA060 and PA084, with a path that begins with targets[0].';
comment on function async.retire_target(text) is
  'Retires a target: it refuses new tasks, finishes those that it has, and keeps its history. '
  'async.set_target revives it. Raises PA060 for a target that does not exist, and for the '
  'server itself.';
comment on function async.set_pool(text, int, jsonb) is
  'Adds a concurrency pool, or changes its size and the other given settings and revives it. The '
  'settings are the keys of an element of concurrency_pools in async.configure. Other pools stay '
  'as they are. A running leader applies the change. Raises PA060, with a path that begins with '
  'concurrency_pools[0].';
comment on function async.set_control(jsonb) is
  'Changes the given settings of async.control. The others stay as they are. A running leader '
  'applies the change. Raises PA060 and PA084, with a path that begins with control.';
comment on function async.configuration() is
  'The present configuration as a document for async.configure. Passwords are masked, so a '
  'connection string with a password has to be left out or completed before the document is '
  'given back. Settings without a value, and schedules that async.schedule made, are left out.';
comment on function async.change_part_as(name, bytea, text, text, jsonb) is
  'Internal. async.set_target and async.set_pool for the role that read the ticket from '
  'async.caller.';
comment on function async.refuse_configuration(text, text) is
  'Internal. Raises the error with which async.configure refuses a document.';

-- comments/views
-- The views of the server part. A column of a table has the same comment in its views (see
-- below).

-- A column of a view gets the comment of the column with the same name in the table. The comments below
-- replace those of columns that mean something else.
do $copy$
declare
  v_column record;
begin
  for v_column in
    select v.oid::regclass as view, a.attname, d.description
    from (
      values ('v_task', 'task'), ('v_my_task', 'task'), ('v_unfinished_task', 'task'), ('v_candidate_task', 'task'),
        ('v_running_task', 'task'), ('v_dead_task', 'task'), ('v_target', 'target'),
        ('v_schedule', 'schedule')
    ) as p(view_name, table_name)
    join pg_catalog.pg_class v on v.oid = ('async.' || p.view_name)::regclass
    join pg_catalog.pg_class t on t.oid = ('async.' || p.table_name)::regclass
    join pg_catalog.pg_attribute a on a.attrelid = v.oid and a.attnum > 0
    join pg_catalog.pg_attribute o on o.attrelid = t.oid and o.attname = a.attname and o.attnum > 0
    join pg_catalog.pg_description d
      on d.objoid = t.oid and d.objsubid = o.attnum and d.classoid = 'pg_catalog.pg_class'::regclass
    where pg_catalog.col_description(v.oid, a.attnum) is distinct from d.description
    order by p.view_name, a.attnum
  loop
    execute pg_catalog.format(
      'comment on column %s.%I is %L', v_column.view, v_column.attname, v_column.description);
  end loop;
end
$copy$;

comment on view async.v_task is
  'Every task, with its phase, how long it waited and how long it ran.';
comment on column async.v_task.phase is 'READY, RUNNING, YIELDED or FINISHED.';
comment on column async.v_task.waited is
  'The time from the push to the last start. For a task that was not started, to its end or to now.';
comment on column async.v_task.took is
  'The time from the last start to the end, or to now. Null for a task that was not started.';

comment on view async.v_my_task is
  'The tasks that the reader pushed, or a role whose privileges it has, with the reason for waiting. '
  'For clients.';
comment on column async.v_my_task.phase is 'READY, RUNNING, YIELDED or FINISHED.';
comment on column async.v_my_task.concurrency_pool is 'The pool that the task counts against.';
comment on column async.v_my_task.waited is
  'The time from the push to the last start. For a task that was not started, to its end or to now.';
comment on column async.v_my_task.took is
  'The time from the last start to the end, or to now. Null for a task that was not started.';
comment on column async.v_my_task.reason is
  'Why a READY task waits. Null in other phases.';

comment on view async.v_dead_task is
  'The failed tasks whose attempts are used up. async.restart_task gives one of them new attempts.';
comment on column async.v_dead_task.retry_policy is 'The name of the retry policy.';

comment on view async.v_metric is
  'The metrics of the server, with the names of docs/metrics.md. Members of pg_monitor may read it.';
comment on column async.v_metric.name is 'The name of the metric.';
comment on column async.v_metric.labels is 'The labels of the series.';
comment on column async.v_metric.value is 'The value.';

comment on view async.v_unfinished_task is
  'Every task that has not finished. The cost does not grow with the history.';
comment on view async.v_candidate_task is
  'The tasks that would run next: those for which a pool slot and a worker are free.';
comment on column async.v_candidate_task.connection_string is
  'The connection string of the target, without its password.';
comment on column async.v_candidate_task.default_timeout is 'The timeout of the target.';
comment on column async.v_candidate_task.max_workers is 'The size of the pool.';
comment on column async.v_candidate_task.workers is
  'The number of tasks that hold a pool slot of the pool.';
comment on column async.v_candidate_task.n is 'The position of the task in its pool, from 1.';

comment on view async.v_target is
  'The targets, without passwords, and the number of workers that run a task at each.';
comment on column async.v_target.connection_string is
  'The connection string, without its password.';
comment on column async.v_target.active_workers is
  'The number of workers that run a task at the target.';

comment on view async.v_target_status is
  'The numbers of tasks of each target: pushed lately, unfinished, and its limit. (The names, with '
  'their spelling, are those of the original library.)';
comment on column async.v_target_status.target is 'The name of the target.';
comment on column async.v_target_status.tasks_entered_24h is 'Tasks pushed in the last 24 hours.';
comment on column async.v_target_status.tasks_entered_1h is 'Tasks pushed in the last hour.';
comment on column async.v_target_status.tasks_entered_1m is 'Tasks pushed in the last minute.';
comment on column async.v_target_status.tasks_pending is 'READY tasks.';
comment on column async.v_target_status.tasks_running is 'RUNNING tasks.';
comment on column async.v_target_status.tasks_yielded is 'YIELDED tasks.';
comment on column async.v_target_status.concurency_assigned_workers is
  'The number of tasks that hold a pool slot of the target''s pool.';
comment on column async.v_target_status.concurrency_external_pool is
  'The number of started tasks of the target that count against another pool.';
comment on column async.v_target_status.concurency_max_workers is
  'The size of the pool of the target.';

comment on view async.v_target_state is
  'The state of each target: ok, lost, fencing, paused, retired or unknown.';
comment on column async.v_target_state.target is 'The name of the target.';
comment on column async.v_target_state.state is
  'ok; lost: unreachable; fencing: sessions of a lost orchestrator are being ended; paused: '
  'no task starts there; retired: refuses new tasks; unknown: no orchestrator leads.';
comment on column async.v_target_state.since is
  'Since when the target is lost. Null when it is not lost.';
comment on column async.v_target_state.error is
  'The error of the last attempt to connect, without passwords. Null when the target is not lost.';
comment on column async.v_target_state.retry_at is
  'The time of the next attempt. Null when the target is not lost, or the engine does not publish '
  'it.';
comment on column async.v_target_state.patience_ends is
  'When tasks that wait for the lost target begin to fail. Null when the target is not lost.';
comment on column async.v_target_state.running is
  'The number of workers that run a task at the target.';
comment on column async.v_target_state.retired is 'True when the target refuses new tasks.';
comment on column async.v_target_state.paused is
  'True while no task of the target starts, also while it is lost.';

comment on view async.v_leader is
  'The leader, in one row. While no orchestrator leads, engine and epoch are those of the last '
  'leader.';
comment on column async.v_leader.leads is 'True while an orchestrator leads.';
comment on column async.v_leader.engine is 'The engine: sql or rust.';
comment on column async.v_leader.epoch is 'The epoch: the number of its election.';
comment on column async.v_leader.pid is 'The process id of the leader session at the server.';
comment on column async.v_leader.host is
  'The host of the client of the leader session; local over a Unix socket.';
comment on column async.v_leader.application is 'The application_name of the leader session.';
comment on column async.v_leader.since is 'When it began to lead.';
comment on column async.v_leader.quiet is
  'The time since its last commit. An idle leader commits every control.idle_sleep seconds.';
comment on column async.v_leader.enabled is 'control.enabled: false stops the orchestrator.';
comment on column async.v_leader.paused is 'control.paused: true prevents new launches.';
comment on column async.v_leader.goodbye is
  'True when the last leader shut down gracefully and left no session behind.';
comment on column async.v_leader.server_id is
  'The id of this server in the application_name of its sessions at targets.';
comment on column async.v_leader.standbys is
  'The number of sessions of pgasync run that wait for the lead.';
comment on column async.v_leader.takeover_grace is
  'How long a standby waits for a lost Rust engine to return, before it leads. Null while an '
  'orchestrator leads, and when nothing is waited for.';

comment on view async.v_why_waiting is
  'The reasons for waiting: one row for each lane (a pool and a target) with waiting tasks, with '
  'the reason for its first task.';
comment on column async.v_why_waiting.concurrency_pool is 'The pool of the lane.';
comment on column async.v_why_waiting.target is 'The target of the lane.';
comment on column async.v_why_waiting.kind is
  'query; pull: without a query, to be offered; offered: a client may take it; deferred: its '
  'eligible_when has not passed.';
comment on column async.v_why_waiting.waiting is
  'The number of waiting tasks, counted up to 10000.';
comment on column async.v_why_waiting.more is 'True when more than 10000 tasks wait.';
comment on column async.v_why_waiting.oldest is 'When the oldest of them was pushed.';
comment on column async.v_why_waiting.waiting_for is 'The time that the oldest has waited.';
comment on column async.v_why_waiting.first_task_id is 'The first task in the order of the queue.';
comment on column async.v_why_waiting.reason is 'The reason why the first task waits.';

comment on view async.v_pool is
  'Every pool that is configured, in use, or has waiting tasks: its occupancy and its waiting '
  'tasks.';
comment on column async.v_pool.concurrency_pool is 'The name of the pool.';
comment on column async.v_pool.running is 'The number of tasks that hold a pool slot.';
comment on column async.v_pool.max_workers is 'The size of the pool.';
comment on column async.v_pool.waiting is
  'The number of waiting tasks, counted up to 10000 for each target.';
comment on column async.v_pool.more is 'True when more tasks wait than were counted.';
comment on column async.v_pool.oldest is 'When the oldest of them was pushed.';
comment on column async.v_pool.waiting_for is 'The time that the oldest has waited.';
comment on column async.v_pool.is_full is 'True when no pool slot is free.';
comment on column async.v_pool.retired is 'True when the pool refuses new tasks.';
comment on column async.v_pool.paused is 'True while no task of the pool starts.';

comment on view async.v_running_task is 'Every RUNNING task, the longest first.';
comment on column async.v_running_task.concurrency_pool is 'The pool that the task counts against.';
comment on column async.v_running_task.since is 'When the task was claimed.';
comment on column async.v_running_task.running_for is 'The time since the claim.';
comment on column async.v_running_task.slot is
  'The number of the worker that runs the task. Null for a task that a client pulled.';
comment on column async.v_running_task.pulled is 'True for a task that a client pulled.';

comment on view async.v_throughput is
  'The numbers of tasks that were pushed and that ended in the last five seconds, the last minute '
  'and the last hour.';
comment on column async.v_throughput.period is 'Five seconds, one minute or one hour, up to now.';
comment on column async.v_throughput.entered is 'Tasks that were pushed.';
comment on column async.v_throughput.ended is 'Tasks that ended.';
comment on column async.v_throughput.finished is 'Tasks that ended as FINISHED.';
comment on column async.v_throughput.failed is 'Tasks that ended otherwise.';
comment on column async.v_throughput.canceled is
  'Tasks that ended as CANCELED; also counted in failed.';
comment on column async.v_throughput.timed_out is
  'Tasks that ended as TIMED_OUT; also counted in failed.';
comment on column async.v_throughput.ended_per_second is
  'The average number of tasks that ended in a second.';

comment on view async.v_failure is
  'The tasks that failed or timed out in the last 24 hours, grouped by target, status, SQLSTATE and '
  'error, the largest group first.';
comment on column async.v_failure.target is 'The target of the tasks.';
comment on column async.v_failure.finish_status is 'The status with which they ended.';
comment on column async.v_failure.sqlstate is
  'The SQLSTATE of their error. Null when the error has none.';
comment on column async.v_failure.message is
  'The first line of their error, with # for each number.';
comment on column async.v_failure.tasks is 'The number of tasks.';
comment on column async.v_failure.first_failed is 'When the first of them ended.';
comment on column async.v_failure.last_failed is 'When the last of them ended.';
comment on column async.v_failure.last_task_id is 'The largest task_id, as an example.';

comment on view async.v_lost_session is
  'The sessions at targets that must end before their tasks do, and that cannot be ended. See '
  'async.write_off_session.';
comment on column async.v_lost_session.session_id is
  'The number of the session, for async.write_off_session.';
comment on column async.v_lost_session.target is 'The target of the session.';
comment on column async.v_lost_session.pid is 'The process id of its backend at the target.';
comment on column async.v_lost_session.epoch is 'The epoch of the leader that opened it.';
comment on column async.v_lost_session.since is 'Since when it cannot be ended.';
comment on column async.v_lost_session.error is 'The error of the last attempt, without passwords.';

-- finish
-- The last step of every part.
do $finish$
begin
  perform async.bind_dblink();
  perform async.guard_secret_rows();
  perform async.restore_privileges();
  update async.control set version = '0.1.0' where version <> '0.1.0';
  perform async.bind_trigger_path(
    coalesce(nullif(current_setting('pgasync.installer_schemas', true), ''), '{}')::text[]);
end
$finish$;

-- install/keep_plans
-- The statements of the hot path keep one generic plan (the setting exists from Postgres 12 on).
-- Planning costs more than running them, and the settings of their functions exclude every bad
-- plan.
do $finish$
declare
  v_function regprocedure;
begin
  if current_setting('server_version_num')::int < 120000 then
    return;
  end if;
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace = 'async'::regnamespace and 'enable_seqscan=off' = any (p.proconfig)
    order by p.oid
  loop
    execute format('alter function %s set plan_cache_mode = force_generic_plan', v_function);
  end loop;
  -- The triggers and routines of users have the plans that they have in other sessions.
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and p.proname = any ('{write_row,restrict_restarted,check_constraints,delete_tasks,call_routine}')
    order by p.oid
  loop
    execute format('alter function %s set plan_cache_mode = auto', v_function);
  end loop;
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
