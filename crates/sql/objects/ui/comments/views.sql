-- What the administrator's views show.
comment on view async.v_worker_info is 'What each worker runs, at most a second old.';
comment on column async.v_worker_info.slot is 'The number of the worker, from 1.';
comment on column async.v_worker_info.target is
  'The target that the worker is connected to. Null when it is not connected.';
comment on column async.v_worker_info.task_id is
  'The task that the worker runs. Null when it runs none.';
comment on column async.v_worker_info.running_since is 'When the worker took the task.';
comment on column async.v_worker_info.query is 'The query of the task.';
comment on column async.v_worker_info.priority is 'The priority of the task.';
comment on column async.v_worker_info.concurrency_pool is
  'The pool that the task names. Null is the pool of its target.';

comment on view async.v_concurrency_pool_info is
  'Every pool that is configured or in use, and what runs in it: one row for each running task, '
  'or one without a task.';
comment on column async.v_concurrency_pool_info.concurrency_pool is 'The name of the pool.';
comment on column async.v_concurrency_pool_info.workers is
  'How many tasks hold a slot of the pool.';
comment on column async.v_concurrency_pool_info.max_workers is 'The size of the pool.';
comment on column async.v_concurrency_pool_info.task_id is 'A task that runs. Null when none does.';
comment on column async.v_concurrency_pool_info.query is 'The query of the task.';
comment on column async.v_concurrency_pool_info.consumed is 'When the task was claimed.';

comment on view async.v_server_info is
  'One row for the head of a dashboard. The times of the parts of a cycle are null: the engines '
  'do not measure them.';
comment on column async.v_server_info.server_pid is
  'The process id of the leader''s session at the server. Null while none leads.';
comment on column async.v_server_info.uptime is 'How long the leader has led.';
comment on column async.v_server_info.last_message is 'The last line of the log.';
comment on column async.v_server_info.server_status is
  'running, paused, stopping, disabled, not running or never started.';
comment on column async.v_server_info.loop_time is 'Always null.';
comment on column async.v_server_info.reap_time is 'Always null.';
comment on column async.v_server_info.internal_time is 'Always null.';
comment on column async.v_server_info.run_time is 'Always null.';
comment on column async.v_server_info.routine_time is 'Always null.';
comment on column async.v_server_info.since_commit_time is
  'The time since the leader''s last commit.';
comment on column async.v_server_info.workers is 'How many workers there are.';
comment on column async.v_server_info.running_workers is 'How many of them run a task.';
comment on column async.v_server_info.longest_running_worker is
  'For how long the worker that has run its task the longest has done so, as text.';
comment on column async.v_server_info.concurrency_pools is 'How many pools there are.';
comment on column async.v_server_info.idle_pools is 'How many of them hold no task.';
comment on column async.v_server_info.running_pools is 'How many of them hold tasks.';
comment on column async.v_server_info.full_pools is 'How many of them have no free slot.';
comment on column async.v_server_info.tracked_running_tasks is
  'How many unfinished tasks hold a pool slot.';
comment on column async.v_server_info.unfinished_tasks is 'How many tasks have not finished.';
comment on column async.v_server_info.pending_tasks is 'How many tasks wait to be started.';
comment on column async.v_server_info.yielded_tasks is 'How many tasks wait to be finished.';
comment on column async.v_server_info.running_tasks is 'How many tasks run.';
comment on column async.v_server_info.longest_pending_task_duration is
  'How long the oldest waiting task has waited, as text.';
comment on column async.v_server_info.longest_running_task_id is
  'The task that has run the longest.';
comment on column async.v_server_info.longest_running_task_query is 'Its query.';
comment on column async.v_server_info.longest_running_task_duration is
  'How long it has run, as text.';
comment on column async.v_server_info.engine is
  'The engine of the leader, or of the last one: sql or rust.';
comment on column async.v_server_info.epoch is 'The number of the last election.';
comment on column async.v_server_info.server_host is
  'The host that the leader''s session comes from; local behind a Unix socket.';
comment on column async.v_server_info.lost_targets is 'How many targets cannot be reached.';
comment on column async.v_server_info.tasks_finished_1m is
  'How many tasks ended as FINISHED in the last minute.';
comment on column async.v_server_info.tasks_failed_1m is
  'How many tasks ended otherwise in the last minute.';
