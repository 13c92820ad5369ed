-- The tables of the configuration. async.configure changes them.
comment on table async.control is
  'One row: the settings of the orchestrator, and its published state. Change the settings with '
  'async.configure.';
comment on column async.control.enabled is
  'False stops the orchestrator. Running queries have ten seconds to end; then they are canceled, '
  'and their tasks return to the queue.';
comment on column async.control.workers is
  'The number of queries that run at the same time, over all targets. Also the limit on '
  'connections for tasks.';
comment on column async.control.idle_sleep is
  'The longest time in seconds between two polls without work. Pushes and requests end the sleep.';
comment on column async.control.heavy_maintenance_sleep is
  'The time between two deletions of finished tasks that are older than task_keep_duration.';
comment on column async.control.task_keep_duration is
  'The time that finished tasks and log lines are kept.';
comment on column async.control.default_timeout is
  'The time from the first start to the deadline of a task, when neither the task nor its target '
  'has a timeout. Null is no deadline.';
comment on column async.control.advisory_mutex_id is
  'The key of an advisory lock that the leader holds, besides the one of the orchestrator.';
comment on column async.control.self_target is
  'The name of the target that is the server database itself.';
comment on column async.control.self_connection_string is
  'The connection string of the server database for the orchestrator. May contain a password. Only '
  'the owner can read it.';
comment on column async.control.self_concurrency is
  'The size of the pool of the self target. On the SQL engine also the number of helper sessions, '
  '3 at least.';
comment on column async.control.last_heavy_maintenance is
  'When the last complete deletion of old tasks began.';
comment on column async.control.running_since is
  'When the leader began to lead. Null after a goodbye.';
comment on column async.control.paused is 'True prevents new launches. Running queries continue.';
comment on column async.control.pid is
  'The process id of the leader session at the server. Null after a goodbye.';
comment on column async.control.busy_sleep is
  'On the SQL engine the longest time in seconds between two polls while queries run. On the Rust '
  'engine the shortest time between two runs of the LOOP routines.';
comment on column async.control.light_maintenance_sleep is
  'The time between two deletions of old log lines. The SQL engine also recounts its pools at this '
  'interval.';
comment on column async.control.last_light_maintenance is 'When old log lines were last deleted.';
comment on column async.control.default_concurrency_pool_workers is
  'The size of a pool that is not configured.';
comment on column async.control.startup_routines is
  'The routines that the orchestrator calls when it starts: the text after CALL. See '
  'async.push_routine.';
comment on column async.control.loop_routines is
  'The routines that the orchestrator calls in every cycle: the text after CALL. See '
  'async.push_routine.';
comment on column async.control.version is 'The version of the server part.';
comment on column async.control.debug_log is 'True keeps the lines of level DEBUG.';
comment on column async.control.target_patience is
  'The time that tasks wait for an unreachable target before they fail.';
comment on column async.control.takeover_grace is
  'The time that a successor waits before it takes the lead of a lost Rust engine.';
comment on column async.control.result_bytes_max is
  'The most bytes of the rows that are kept of one task, as JSON in UTF-8: 1024 to 16777216.';
comment on column async.control.receipt_keep is
  'How long receipts stay at their targets after their tasks have ended.';
comment on column async.control.default_retry is
  'The retry policy of tasks whose target has no default_retry. Null or none: no policy.';
comment on column async.control.trigger_search_path is
  'The schemas in which triggers on async.task and routines find unqualified names. The owner sets '
  'it with async.set_trigger_search_path.';

comment on table async.target is
  'The targets: databases that run tasks. Change them with async.configure. Foreign keys of '
  'clients may refer to target.';
comment on column async.target.target is 'The name of the target.';
comment on column async.target.max_concurrency is 'The size of the pool of the target.';
comment on column async.target.connection_string is
  'The connection string of the target, in either form of libpq. May contain a password. Only the '
  'owner can read it. Null when only clients take its tasks.';
comment on column async.target.asynchronous_finish is
  'True when the end of the query makes a task YIELDED, and async.finish finishes it.';
comment on column async.target.default_timeout is
  'The time from the first start to the deadline of tasks without a manual_timeout. Null is '
  'control.default_timeout.';
comment on column async.target.max_sessions is
  'The most sessions that the leader has at the target, over all pools. Null is no limit.';
comment on column async.target.default_retry is
  'The retry policy of tasks that name none. Null: control.default_retry. none: no policy.';
comment on column async.target.concurrency_track_yielded is
  'True when YIELDED tasks keep their pool slots, unless the task overrides it.';
comment on column async.target.session_reset is
  'True when each task starts in a clean session. False omits the reset, which is faster.';
comment on column async.target.receipts is
  'True when the target has the table of async.target_setup, so that tasks may have receipts.';
comment on column async.target.tags is
  'The tags of the target: async.targets finds it by each.';
comment on column async.target.paused is
  'True while no task of the target starts. What runs goes on. A document of async.configure that '
  'does not name it leaves it as it is.';
comment on column async.target.retired is
  'True when the last async.configure left the target out: it refuses new tasks and finishes its '
  'present tasks.';

comment on table async.concurrency_pool is
  'The configured concurrency pools: limits on how many tasks run at once. Change them with '
  'async.configure.';
comment on column async.concurrency_pool.concurrency_pool is 'The name of the pool.';
comment on column async.concurrency_pool.max_workers is
  'The size of the pool: its number of pool slots.';
comment on column async.concurrency_pool.starts_max is
  'The most tasks of the pool that start in interval, evenly spaced. 0: no limit.';
comment on column async.concurrency_pool.interval is
  'The time in which at most starts_max tasks start.';
comment on column async.concurrency_pool.paused is
  'True while no task of the pool starts. What runs goes on. A document of async.configure that '
  'does not name it leaves it as it is.';
comment on column async.concurrency_pool.retired is
  'True when the last async.configure left the pool out: it refuses new tasks and finishes its '
  'present tasks.';

comment on table async.retry_policy is
  'The retry policies. A push copies the policy of its task, so a change affects later pushes only. '
  'Change them with async.configure.';
comment on column async.retry_policy.retry_policy is 'The name of the policy.';
comment on column async.retry_policy.max_attempts is
  'How many attempts a task has, the first one included.';
comment on column async.retry_policy.delay is 'The delay before the second attempt.';
comment on column async.retry_policy.backoff is
  'Each further delay is this multiple of the one before.';
comment on column async.retry_policy.delay_max is 'The longest delay.';
comment on column async.retry_policy.jitter is
  'The share of a delay by which it is shortened at most. It depends on the task and the attempt.';
comment on column async.retry_policy.sqlstates is
  'Which errors are retried: SQLSTATEs, classes (their first two characters), transient, any, and '
  'reported (async.finish with FAILED for a pulled or yielded task).';
comment on column async.retry_policy.timeouts is 'True when timeouts are retried.';
comment on column async.retry_policy.unreachable is
  'True when tasks that waited for target_patience for an unreachable target are retried.';
comment on column async.retry_policy.unknown is
  'True when tasks with an unknown outcome are retried, if may_run_twice is true as well.';
comment on column async.retry_policy.may_run_twice is
  'True when the effects of a task may happen twice. Without it no unknown outcome is retried, and '
  'no text of which a part may be committed when it fails.';
