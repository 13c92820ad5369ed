-- The tables of the configuration. async.configure changes them.
comment on table async.control is
  'One row: the settings of the orchestrator, and its published state. Change the settings with '
  'async.configure.';
comment on column async.control.enabled is
  'False stops the orchestrator: running queries have ten seconds to end; then they are '
  'canceled, and their tasks return to the queue. async.main and pgasync run end at once while '
  'it is false.';
comment on column async.control.workers is
  'The number of queries that run at the same time, over all targets. It is also the limit on '
  'connections for tasks.';
comment on column async.control.idle_sleep is
  'The longest time in seconds between two polls without work. Pushes, requests and '
  'async.configure end the sleep. On the SQL engine deferred tasks, deadlines of tasks without a '
  'query and LOOP routines wait for the next poll.';
comment on column async.control.heavy_maintenance_sleep is
  'The time between two deletions of finished tasks that are older than task_keep_duration.';
comment on column async.control.task_keep_duration is
  'The time that finished tasks and log lines are kept.';
comment on column async.control.default_timeout is
  'The time from the first start to the deadline of a task, when neither the task nor its target '
  'has a timeout. Null is no deadline.';
comment on column async.control.advisory_mutex_id is
  'The key of an advisory lock that the leader holds besides its own, whose key changes with '
  'each election. A session of a member of the owner that holds this lock keeps every '
  'orchestrator from leading; those of other roles do not. Change the key if another application '
  'of the owner uses it.';
comment on column async.control.self_target is
  'The name of the server database itself as a target. The target SELF is the same. Only the '
  'owner may change it.';
comment on column async.control.self_connection_string is
  'The connection string of the server database for the orchestrator. A missing port, database '
  'or user is that of the server. It may contain a password, and has no reference to a secret. '
  'Only the owner may change or read it.';
comment on column async.control.self_concurrency is
  'The size of the pool of the server database as a target. On the SQL engine it is also the '
  'number of sessions for probes, cancels and fences, 3 at least.';
comment on column async.control.last_heavy_maintenance is
  'When the last complete deletion of old tasks began.';
comment on column async.control.running_since is
  'When the leader began to lead. Null after a goodbye.';
comment on column async.control.paused is 'True prevents new launches. Running queries go on.';
comment on column async.control.pid is
  'The process id of the leader session at the server. Null after a goodbye.';
comment on column async.control.busy_sleep is
  'On the SQL engine the longest time in seconds between two polls while queries run. On the Rust '
  'engine the shortest time between two runs of the LOOP routines.';
comment on column async.control.light_maintenance_sleep is
  'The time between two deletions of old log lines. The SQL engine also recounts its pools at '
  'this interval.';
comment on column async.control.last_light_maintenance is 'When old log lines were last deleted.';
comment on column async.control.default_concurrency_pool_workers is
  'The size of a pool that is not configured.';
comment on column async.control.startup_routines is
  'The routines that the orchestrator calls when it starts to lead: for each the text after '
  'CALL. async.push_routine adds one. Only the owner may change them.';
comment on column async.control.loop_routines is
  'The routines that the orchestrator calls in every cycle: for each the text after CALL. '
  'async.push_routine adds one. Only the owner may change them.';
comment on column async.control.version is 'The version of the server part.';
comment on column async.control.debug_log is
  'True keeps the lines of level DEBUG that async.log writes.';
comment on column async.control.target_patience is
  'The time that tasks wait for an unreachable target before they fail.';
comment on column async.control.takeover_grace is
  'The time that a successor waits before it takes the lead of a pgasync run that was lost.';
comment on column async.control.result_bytes_max is
  'The most bytes of the rows that are kept of one task, as JSON in UTF-8: 1024 to 16777216.';
comment on column async.control.receipt_keep is
  'How long receipts stay at their targets after their tasks have ended.';
comment on column async.control.default_retry is
  'The retry policy of tasks whose target names none. Null or the name none: no policy.';
comment on column async.control.trigger_search_path is
  'The schemas in which triggers on async.task and routines find names without a schema. A '
  'document of async.configure cannot change it; the owner sets it with '
  'async.set_trigger_search_path.';

comment on table async.target is
  'The targets: databases that run tasks. Change them with async.configure. Foreign keys of '
  'clients may refer to target.';
comment on column async.target.target is 'The name of the target. It is required.';
comment on column async.target.max_concurrency is
  'The size of the pool of the target: how many of its tasks run at the same time.';
comment on column async.target.connection_string is
  'The connection string of the target, in either form of libpq, used on the server. It may '
  'contain a password, or a reference to one. Only the owner can read it. Null is possible with '
  'asynchronous_finish alone: then only clients take its tasks.';
comment on column async.target.asynchronous_finish is
  'True when the end of the query makes a task YIELDED, and async.finish finishes it; and when '
  'clients pull tasks without a query from it.';
comment on column async.target.default_timeout is
  'The time from the first start to the deadline of tasks without a timeout of their own. Null '
  'is control.default_timeout.';
comment on column async.target.max_sessions is
  'The most sessions for tasks that the orchestrator has at the target, over all pools. Tasks of '
  'every pool share these sessions and wait for one. The short connections for probes, cancels '
  'and fences are not counted. Null is no limit; in a document null keeps the present value.';
comment on column async.target.default_retry is
  'The retry policy of tasks that name none. Null: control.default_retry. The name none: no '
  'policy.';
comment on column async.target.concurrency_track_yielded is
  'True when YIELDED tasks keep their pool slots, unless the task says otherwise.';
comment on column async.target.session_reset is
  'True when each task starts in a clean session. False omits the reset, which is faster.';
comment on column async.target.receipts is
  'True when the target has the table of async.target_setup, so that tasks may have receipts.';
comment on column async.target.tags is
  'The tags of the target: async.targets and schedules find it by each. An empty array removes '
  'them.';
comment on column async.target.paused is
  'True while no task of the target starts. What runs goes on. A document that does not name it '
  'leaves it as it is.';
comment on column async.target.retired is
  'True when the target refuses new tasks and finishes its present ones. A document of '
  'async.configure that has the list without the target sets it.';

comment on table async.concurrency_pool is
  'The configured concurrency pools: limits on how many tasks run at once. Change them with '
  'async.configure.';
comment on column async.concurrency_pool.concurrency_pool is
  'The name of the pool. It is required.';
comment on column async.concurrency_pool.max_workers is
  'The size of the pool: how many of its tasks run at the same time. It is required for a new '
  'pool.';
comment on column async.concurrency_pool.starts_max is
  'The most tasks of the pool that start in interval, evenly spaced. 0: no limit.';
comment on column async.concurrency_pool.interval is
  'The time in which at most starts_max tasks start. It is required with starts_max.';
comment on column async.concurrency_pool.paused is
  'True while no task of the pool starts. What runs goes on. A document that does not name it '
  'leaves it as it is.';
comment on column async.concurrency_pool.retired is
  'True when the pool refuses new tasks and finishes its present ones. A document of '
  'async.configure that has the list without the pool sets it.';

comment on table async.retry_policy is
  'The retry policies. A push copies the policy of its task, so a change affects later pushes only. '
  'Change them with async.configure.';
comment on column async.retry_policy.retry_policy is
  'The name of the policy. It is required, and is not none.';
comment on column async.retry_policy.max_attempts is
  'How many attempts a task has, the first one included.';
comment on column async.retry_policy.delay is 'The delay before the second attempt.';
comment on column async.retry_policy.backoff is
  'Each further delay is this multiple of the one before.';
comment on column async.retry_policy.delay_max is 'The longest delay.';
comment on column async.retry_policy.jitter is
  'The share of a delay by which it is shortened at most. It depends on the task and the attempt.';
comment on column async.retry_policy.sqlstates is
  'Which errors are retried: SQLSTATEs, classes (their first two characters), transient, any, '
  'and reported (async.finish with FAILED for a pulled or yielded task).';
comment on column async.retry_policy.timeouts is 'True when timeouts are retried.';
comment on column async.retry_policy.unreachable is
  'True when tasks that waited for target_patience for an unreachable target are retried.';
comment on column async.retry_policy.unknown is
  'True when tasks with an unknown outcome are retried, if may_run_twice is true as well.';
comment on column async.retry_policy.may_run_twice is
  'True when the effects of a task may happen twice. Without it no unknown outcome is retried, and '
  'no text of which a part may be committed when it fails.';
