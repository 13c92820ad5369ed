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
