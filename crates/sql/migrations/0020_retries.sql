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
