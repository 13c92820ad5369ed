-- A server of the library in use: configuration, and a history in which every state of a task occurs. The marks of
-- tasks that must run once begin with 'once', of those that must not run with 'never'. :there, :self are literals.
update async.control set
  workers = 7, idle_sleep = 0.2, task_keep_duration = '90 days', default_timeout = '2 hours',
  default_concurrency_pool_workers = 3, advisory_mutex_id = 4711, debug_log = false,
  startup_routines = '{public.begin_shift()}', loop_routines = '{public.beat()}',
  last_heavy_maintenance = '2026-01-01', running_since = '2026-01-01', pid = 1;
insert into async.target values
  ('there', 8, :there, false, '10 minutes', false),
  ('callback', 2, :there, true, null, true),
  ('hands', 4, null, true, null, true),
  ('async.self', 4, :self, false, null, false);
insert into async.concurrency_pool values
  ('there', 5), ('callback', 2), ('hands', 4), ('async.self', 4), ('nightly', 1);
insert into async.concurrency_pool_tracker values ('there', 2, 5), ('nightly', 0, 1);
insert into async.worker values (1, 'async.worker_1', 'there', 13, now()), (2, 'async.worker_2', null, null, null);
insert into async.server_log (level, message) values ('NOTICE', 'Initialization of query processor complete'), (null, null);

create function pg_temp.mark(text) returns text language sql as
  $$ select format('insert into ledger (mark) values (%L)', $1) $$;

-- 1 to 12: finished.
select async.push_tasks(array(select async.task('select ' || n, 'there', jsonb_build_object('n', n)) from generate_series(1, 12) n));
update async.task set
  entered = timestamptz '2026-01-01 00:00Z' + task_id * interval '1 minute',
  consumed = timestamptz '2026-01-01 01:00Z' + task_id * interval '1 minute',
  processed = timestamptz '2026-01-01 02:00Z' + task_id * interval '1 minute',
  times_up = timestamptz '2026-01-01 03:00Z', finish_status = 'FINISHED', failed = false, tracked = false;
update async.task set finish_status = 'FAILED', failed = true, processing_error = 'division by zero' where task_id = 2;
update async.task set finish_status = 'CANCELED', failed = true, processing_error = 'manual cancel' where task_id = 3;
update async.task set finish_status = 'TIMED_OUT', failed = true, processing_error = 'too late' where task_id = 4;
-- What it presumed failed when it started has neither a status nor a free slot.
update async.task set finish_status = null, failed = true, tracked = true,
  processing_error = 'presumed failed due to async startup' where task_id = 5;
-- A connection could not be opened.
update async.task set finish_status = 'FAILED', failed = true, tracked = null, times_up = null,
  processing_error = 'could not establish connection' where task_id = 6;
-- A finish of a client, which was a task of the self target.
update async.task set target = 'async.self', concurrency_pool = 'async.self', query = null, priority = -99,
  source = 'async.finish', task_data = '{"task_ids": [1], "status": "FINISHED"}',
  finish_status = null, failed = null, tracked = null, times_up = null where task_id = 7;
update async.task set yielded = consumed + interval '1 second', target = 'callback', concurrency_pool = 'callback',
  asynchronous_finish = true where task_id = 8;
update async.task set finish_status = 'DOA', failed = true, tracked = null, times_up = null where task_id = 11;
update async.task set tracked = null, times_up = null where task_id = 12;

-- 13 to 16: what the orchestrator left behind.
select async.push_tasks(array[
  async.task(pg_temp.mark('never 13'), 'there'), async.task(null, 'hands', '{"who": "me"}'),
  async.task('select 15', 'callback'), async.task('select 16', 'callback', track_yielded => false)]);
update async.task set consumed = now(), times_up = now() + interval '10 minutes', tracked = true
where task_id between 13 and 16;
update async.task set yielded = now(), finish_status = 'YIELDED', failed = false,
  tracked = case task_id when 15 then true end
where task_id in (15, 16);

-- 17 to 31: waiting.
select async.push_tasks(array(
  select async.task(pg_temp.mark('once ' || n), 'there', jsonb_build_object('key', n), n - 22,
    case when n < 20 then 'nightly' when n < 22 then 'unconfigured' end, case when n = 25 then interval '1 hour' end)
  from generate_series(17, 26) n), _source => 'nightly load');
select async.push_tasks(array[
  async.task(pg_temp.mark('once 27'), 'there'),
  async.task(pg_temp.mark('once 28'), 'there'),
  async.task(pg_temp.mark('once 29'), 'there'),
  async.task('insert into ledger (mark) values (''flow ##flow.TASK_ID##'')', 'there'),
  async.task(null, 'hands', '{"who": "you"}'),
  async.task(pg_temp.mark('never 32'), 'there', priority => 100)]);
-- Deferred, paused after a run whose deadline has passed, and restarted.
update async.task set finish_status = 'DEFERRED', failed = false, tracked = false,
  eligible_when = now() + interval '1 second', times_up = now() + interval '5 minutes' where task_id = 27;
update async.task set failed = false, tracked = true, times_up = now() - interval '1 day' where task_id = 28;
update async.task set failed = true, tracked = false, source = 'async.restart_task' where task_id = 29;

-- Committed by clients, and not seen by the orchestrator.
select async.finish(array[16, 1], 'FINISHED', null);
select async.cancel(array[32]::bigint[]);
