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
