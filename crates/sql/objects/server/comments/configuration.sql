-- What the tables of the configuration hold. async.configure changes them.
comment on table async.control is
  'One row: the settings of the orchestrator, and what it reports about itself. Change it with '
  'async.configure.';
comment on column async.control.enabled is
  'False asks the orchestrator to stop, after it has let running queries end.';
comment on column async.control.workers is
  'How many queries may run at once over all targets; also the most connections for tasks.';
comment on column async.control.idle_sleep is 'Seconds between polls, at most, while nothing runs.';
comment on column async.control.heavy_maintenance_sleep is
  'How often finished tasks beyond task_keep_duration are deleted.';
comment on column async.control.task_keep_duration is
  'How long finished tasks and the log are kept.';
comment on column async.control.default_timeout is
  'The deadline, from the first start, of a task when neither the task nor its target has one. '
  'Null is none.';
comment on column async.control.advisory_mutex_id is
  'The advisory lock, besides the orchestrator''s own, that the leader holds. 0 is none.';
comment on column async.control.self_target is
  'The name of the target that is the server database itself.';
comment on column async.control.self_connection_string is
  'How the orchestrator reaches the server database. May hold a password: only the owner reads it.';
comment on column async.control.self_concurrency is
  'The size of the pool of the self target; also bounds the sessions that probe and cancel.';
comment on column async.control.last_heavy_maintenance is 'When history was last deleted.';
comment on column async.control.running_since is
  'When the leader started to lead. Null when the last one ended in order.';
comment on column async.control.paused is 'True holds back new launches; what runs goes on.';
comment on column async.control.pid is
  'The process id of the leader''s session at the server. Null when the last one ended in order.';
comment on column async.control.busy_sleep is 'Seconds between polls, at most, while queries run.';
comment on column async.control.light_maintenance_sleep is
  'How often the log is pruned and the pools are recounted.';
comment on column async.control.last_light_maintenance is 'When the log was last pruned.';
comment on column async.control.default_concurrency_pool_workers is
  'The size of a pool that was not configured.';
comment on column async.control.startup_routines is
  'What the orchestrator calls when it starts: the text after CALL. See async.push_routine.';
comment on column async.control.loop_routines is
  'What the orchestrator calls in every cycle: the text after CALL. See async.push_routine.';
comment on column async.control.version is 'The version of the server part.';
comment on column async.control.debug_log is 'True writes DEBUG lines to the log.';
comment on column async.control.target_patience is
  'How long tasks wait for a target that cannot be reached before they fail.';
comment on column async.control.takeover_grace is
  'How long a successor leaves the lead to a leader of another process whose session was lost.';
comment on column async.control.trigger_search_path is
  'The schemas in which triggers on async.task and routines find what they name without one. The '
  'owner sets it with async.set_trigger_search_path.';

comment on table async.target is
  'The targets: databases that run tasks. Change them with async.configure. Clients may point '
  'foreign keys at target.';
comment on column async.target.target is 'The name of the target.';
comment on column async.target.max_concurrency is 'The size of the target''s own pool.';
comment on column async.target.connection_string is
  'How to reach the target, in either form of libpq. May hold a password: only the owner reads '
  'it. Null where only clients pull tasks.';
comment on column async.target.asynchronous_finish is
  'True when tasks become YIELDED at the end of their query, and async.finish finishes them.';
comment on column async.target.default_timeout is
  'The deadline, from the first start, of tasks that have none. Null is control.default_timeout.';
comment on column async.target.concurrency_track_yielded is
  'True when YIELDED tasks keep their pool slots, unless the task says otherwise.';
comment on column async.target.session_reset is
  'True when each task starts in a clean session. False trades that for speed.';
comment on column async.target.retired is
  'True when the last async.configure left the target out: it refuses new tasks and finishes '
  'those it has.';

comment on table async.concurrency_pool is
  'The configured concurrency pools: limits on how many tasks run at once. Change them with '
  'async.configure.';
comment on column async.concurrency_pool.concurrency_pool is 'The name of the pool.';
comment on column async.concurrency_pool.max_workers is
  'How many tasks may hold a slot of the pool at once.';
comment on column async.concurrency_pool.retired is
  'True when the last async.configure left the pool out: it refuses new tasks and finishes those '
  'it has.';
