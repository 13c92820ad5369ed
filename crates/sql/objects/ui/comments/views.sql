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
