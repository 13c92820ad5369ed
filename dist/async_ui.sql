-- pgasync 0.1.0: administrator's views. Generated from crates/sql; edit the objects there.
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
-- Prerequisites of the views of administrators.
do $guard$
begin
  if to_regclass('async.control') is null then
    raise exception 'pgasync''s server part is not installed in this database'
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Run async.sql and async_server.sql first, then this file';
  end if;
end
$guard$;

-- v_worker_info
-- The state of each worker.
create or replace view async.v_worker_info as
select w.slot, w.target, w.task_id, w.running_since, t.query, t.priority, t.concurrency_pool
from async.worker w
left join async.task t on t.task_id = w.task_id
order by w.slot;

-- v_concurrency_pool_info
-- Every pool that is configured (each target has one) or in use, and its running tasks: one row for
-- each running task, or one row without a task.
create or replace view async.v_concurrency_pool_info as
select
  p.concurrency_pool,
  coalesce(r.workers, 0) as workers,
  async.pool_limit(p.concurrency_pool) as max_workers,
  t.task_id,
  t.query,
  t.consumed
from (
  select n.concurrency_pool from async.concurrency_pool n where not n.retired
  union
  select t.target from async.target t where not t.retired
  union
  select n.concurrency_pool from async.concurrency_pool_tracker n
) p
left join async.concurrency_pool_tracker r on r.concurrency_pool = p.concurrency_pool
left join (
  select u.task_id, u.query, u.consumed, coalesce(u.concurrency_pool, u.target) as pool
  from async.v_unfinished_task u
  where u.consumed is not null
) t on t.pool = p.concurrency_pool
order by lower(p.concurrency_pool), p.concurrency_pool, t.task_id;

-- v_server_info
-- One row for the head of a dashboard. The times of the parts of a cycle are null, because the
-- engines do not measure them.
create or replace view async.v_server_info as
select
  case when s.leads then s.pid end as server_pid,
  case when s.leads then now() - s.running_since end as uptime,
  m.message as last_message,
  case
    when not s.leads and not s.enabled then 'disabled'
    when not s.leads and not exists (select from async.leader l where l.epoch > 0) then 'never started'
    when not s.leads then 'not running'
    when not s.enabled then 'stopping'
    when s.paused then 'paused'
    else 'running'
  end as server_status,
  null::interval as loop_time,
  null::interval as reap_time,
  null::interval as internal_time,
  null::interval as run_time,
  null::interval as routine_time,
  v.quiet as since_commit_time,
  s.workers,
  coalesce(w.running, 0) as running_workers,
  async.interval_pretty(now() - w.since) as longest_running_worker,
  p.pools as concurrency_pools,
  p.idle as idle_pools,
  p.running as running_pools,
  p.full as full_pools,
  u.tracked as tracked_running_tasks,
  u.unfinished as unfinished_tasks,
  u.pending as pending_tasks,
  u.yielded as yielded_tasks,
  u.running as running_tasks,
  async.interval_pretty(now() - u.pending_since) as longest_pending_task_duration,
  l.task_id as longest_running_task_id,
  l.query as longest_running_task_query,
  async.interval_pretty(now() - l.consumed) as longest_running_task_duration,
  v.engine,
  v.epoch,
  v.host as server_host,
  o.lost as lost_targets,
  d.finished as tasks_finished_1m,
  d.failed as tasks_failed_1m
from (
  -- The planner does not know that the table has one row, since it is never analyzed.
  select c.*, async.leader_exists() as leads from async.control c limit 1
) s
left join (
  select g.message from async.server_log g order by g.server_log desc limit 1
) m on true
cross join (
  select count(*) as running, min(r.running_since) as since from async.worker r where r.task_id is not null
) w
cross join (
  select
    count(*) as pools,
    count(*) filter (where t.workers <= 0) as idle,
    count(*) filter (where t.workers > 0) as running,
    count(*) filter (where t.workers >= t.max_workers) as full
  from async.concurrency_pool_tracker t
) p
cross join (
  select
    count(*) filter (where t.tracked) as tracked,
    count(*) as unfinished,
    count(*) filter (where t.consumed is null and t.yielded is null) as pending,
    count(*) filter (where t.yielded is not null) as yielded,
    count(*) filter (where t.consumed is not null and t.yielded is null) as running,
    min(t.entered) filter (where t.consumed is null and t.yielded is null) as pending_since
  from async.v_unfinished_task t
) u
left join (
  select t.task_id, t.query, t.consumed
  from async.v_unfinished_task t
  where t.consumed is not null and t.yielded is null
  order by t.consumed, t.task_id
  limit 1
) l on true
left join async.v_leader v on true
cross join (select count(*) as lost from async.v_target_state t where t.state = 'lost') o
cross join (
  select count(*) filter (where not t.failed) as finished, count(*) filter (where t.failed) as failed
  from async.task t
  where t.processed >= now() - interval '1 minute'
) d;

-- comments/views
-- The views of administrators.
comment on view async.v_worker_info is 'The state of each worker, at most one second old.';
comment on column async.v_worker_info.slot is 'The number of the worker, from 1.';
comment on column async.v_worker_info.target is
  'The target that the worker is connected to. Null without a connection.';
comment on column async.v_worker_info.task_id is
  'The task that the worker runs. Null without a task.';
comment on column async.v_worker_info.running_since is 'When the worker took the task.';
comment on column async.v_worker_info.query is 'The query of the task.';
comment on column async.v_worker_info.priority is 'The priority of the task.';
comment on column async.v_worker_info.concurrency_pool is
  'The pool that the task names. Null is the pool of its target.';

comment on view async.v_concurrency_pool_info is
  'Every pool that is configured or in use, and its running tasks: one row for each running task, '
  'or one row without a task.';
comment on column async.v_concurrency_pool_info.concurrency_pool is 'The name of the pool.';
comment on column async.v_concurrency_pool_info.workers is
  'The number of tasks that hold a pool slot.';
comment on column async.v_concurrency_pool_info.max_workers is 'The size of the pool.';
comment on column async.v_concurrency_pool_info.task_id is
  'A RUNNING or YIELDED task. Null without one.';
comment on column async.v_concurrency_pool_info.query is 'The query of the task.';
comment on column async.v_concurrency_pool_info.consumed is 'When the task was claimed.';

comment on view async.v_server_info is
  'One row for the head of a dashboard. The times of the parts of a cycle are null, because the '
  'engines do not measure them.';
comment on column async.v_server_info.server_pid is
  'The process id of the leader session at the server. Null while no orchestrator leads.';
comment on column async.v_server_info.uptime is 'The time since the leader began to lead.';
comment on column async.v_server_info.last_message is 'The last line of the log.';
comment on column async.v_server_info.server_status is
  'running, paused, stopping, disabled, not running or never started.';
comment on column async.v_server_info.loop_time is 'Always null.';
comment on column async.v_server_info.reap_time is 'Always null.';
comment on column async.v_server_info.internal_time is 'Always null.';
comment on column async.v_server_info.run_time is 'Always null.';
comment on column async.v_server_info.routine_time is 'Always null.';
comment on column async.v_server_info.since_commit_time is
  'The time since the last commit of the leader.';
comment on column async.v_server_info.workers is 'The number of workers.';
comment on column async.v_server_info.running_workers is 'The number of workers that run a task.';
comment on column async.v_server_info.longest_running_worker is
  'The time that the worker with the oldest task has run it, as text.';
comment on column async.v_server_info.concurrency_pools is 'The number of pools.';
comment on column async.v_server_info.idle_pools is
  'The number of pools without a taken pool slot.';
comment on column async.v_server_info.running_pools is
  'The number of pools with a taken pool slot.';
comment on column async.v_server_info.full_pools is 'The number of pools without a free pool slot.';
comment on column async.v_server_info.tracked_running_tasks is
  'The number of unfinished tasks that hold a pool slot.';
comment on column async.v_server_info.unfinished_tasks is 'The number of unfinished tasks.';
comment on column async.v_server_info.pending_tasks is 'The number of READY tasks.';
comment on column async.v_server_info.yielded_tasks is 'The number of YIELDED tasks.';
comment on column async.v_server_info.running_tasks is 'The number of RUNNING tasks.';
comment on column async.v_server_info.longest_pending_task_duration is
  'The time that the oldest READY task has waited, as text.';
comment on column async.v_server_info.longest_running_task_id is
  'The RUNNING task with the earliest claim.';
comment on column async.v_server_info.longest_running_task_query is 'The query of that task.';
comment on column async.v_server_info.longest_running_task_duration is
  'The time since that claim, as text.';
comment on column async.v_server_info.engine is
  'The engine of the leader, or of the last one: sql or rust.';
comment on column async.v_server_info.epoch is 'The number of the last election.';
comment on column async.v_server_info.server_host is
  'The host of the client of the leader session; local over a Unix socket.';
comment on column async.v_server_info.lost_targets is 'The number of lost targets.';
comment on column async.v_server_info.tasks_finished_1m is
  'The number of tasks that ended as FINISHED in the last minute.';
comment on column async.v_server_info.tasks_failed_1m is
  'The number of tasks that ended otherwise in the last minute.';

-- finish
-- The last step of every part.
do $finish$
begin
  perform async.bind_dblink();
  perform async.restore_privileges();
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
