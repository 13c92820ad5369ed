-- The schema and its types, for \dn+ and \dT+.
comment on schema async is
  'pgasync: runs SQL in the background. Tasks are pushed with async.push_tasks.';

comment on type async.finish_status_t is
  'How a task ended, or what a request asks for. FINISHED, FAILED, CANCELED, TIMED_OUT and DOA '
  'are ends; YIELDED, PAUSED and DEFERRED are not.';
comment on type async.task_run_type_t is
  'How a pushed task runs. EXECUTE: as the settings of its target say. EXECUTE_NOASYNC: it '
  'finishes with its query. EMPTY: it never runs and counts as finished. DOA: it never runs and '
  'counts as failed.';
comment on type async.task_execution_state_t is
  'The phase of a task: READY, RUNNING, YIELDED or FINISHED.';
comment on type async.routine_type_t is
  'When the orchestrator runs a routine. STARTUP: when it starts. LOOP: in every cycle.';

comment on type async.task_push_t is
  'A task to push. Build it with async.task(...) or row(...)::async.task_push_t.';
comment on column async.task_push_t.task_data is 'JSON data of the client, stored with the task.';
comment on column async.task_push_t.target is
  'The name of the target that runs the query. SELF is the server database.';
comment on column async.task_push_t.priority is 'Lower runs first. Null is 0.';
comment on column async.task_push_t.query is
  'The query to run. Null for a task that a client pulls with async.get_tasks.';
comment on column async.task_push_t.concurrency_pool is
  'The pool that limits the task. Null is the pool of its target.';
comment on column async.task_push_t.manual_timeout is
  'The time from the first start to the deadline. Null is the timeout of the target, else the '
  'default.';
comment on column async.task_push_t.track_yielded is
  'Whether the task keeps its pool slot while it is YIELDED. Null is the setting of the target.';
