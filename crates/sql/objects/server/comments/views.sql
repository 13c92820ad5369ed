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
