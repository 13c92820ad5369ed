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

-- It returns the time of the next firing, too.
drop function if exists async.lead_sweep(timestamptz, int, bigint[]);
