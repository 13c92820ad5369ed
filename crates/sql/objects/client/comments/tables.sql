-- The tables of the client part and their columns.
comment on table async.task is
  'The tasks: the queue, the state and the history. async.task_execution_state derives the phase '
  'of a row. Only the leader changes a task that it holds. Clients request changes with '
  'async.finish, cancel, defer and restart_task.';
comment on column async.task.task_id is 'The id of the task, assigned by the push.';
comment on column async.task.target is 'The name of the target that runs the query.';
comment on column async.task.priority is
  'The task with the lower value runs first, then the one with the earlier entered, then the one '
  'with the lower task_id. Negative values are reserved by convention.';
comment on column async.task.entered is 'When the task was pushed.';
comment on column async.task.consumed is
  'When the task was claimed for its present or last run. Null while it is READY.';
comment on column async.task.processed is 'When the task finished. Null before.';
comment on column async.task.yielded is 'When the task became YIELDED. Null otherwise.';
comment on column async.task.finish_status is
  'How the task ended. YIELDED while it waits for async.finish. Null before.';
comment on column async.task.source is 'The source that the push named.';
comment on column async.task.query is
  'The query. ##flow.TASK_ID## in it is replaced by the id of the task. Null for a task that a '
  'client pulls.';
comment on column async.task.failed is
  'True for an end other than FINISHED, false for FINISHED, null before the end.';
comment on column async.task.processing_error is
  'SQLSTATE, message, detail, hint and context of the error of the query, or the message of the '
  'request that ended the task. At most 64 KiB.';
comment on column async.task.asynchronous_finish is
  'True when the end of the query makes the task YIELDED, and async.finish finishes it.';
comment on column async.task.times_up is
  'The deadline. It is set at the first claim and stays through deferrals. Before that it is '
  'expires_at. infinity when the task has no deadline.';
comment on column async.task.task_data is 'JSON data of the client, stored with the task.';
comment on column async.task.concurrency_pool is
  'The pool that limits the task. Null is the pool of its target.';
comment on column async.task.manual_timeout is
  'The time from the first claim to the deadline. Null is the timeout of the target, else the '
  'default.';
comment on column async.task.tracked is
  'True while the task holds a pool slot, as an offer too. False after it has released the pool '
  'slot at its end. Null otherwise.';
comment on column async.task.track_yielded is
  'True when the task keeps its pool slot while it is YIELDED.';
comment on column async.task.eligible_when is
  'The task does not run before this time: its run_at, or the end of a deferral or a pause. Null '
  'otherwise.';
comment on column async.task.run is
  'The number of claims so far. A result names the run that it ends, so a late result never ends '
  'a newer run.';
comment on column async.task.pushed_by is
  'The role that pushed the task: its session_user, followed by as and its current_user where that '
  'is another. Null for older tasks.';
comment on column async.task.may_reach_self is
  'False when the task was pushed, or restarted, without a grant on SELF: it is not launched in a '
  'session at this database of a member of the owner. Null otherwise.';
comment on column async.task.ended_by is
  'The role whose request ended the task (cancel, finish), by its login: its session_user. Null for '
  'any other end, such as that of the query, a deadline or the loss of a target.';
comment on column async.task.retry is
  'The retry policy, as the push copied it: delays in microseconds; what is absent is false, no '
  'jitter, or no growth of the delay. Null without a policy.';
comment on column async.task.attempt is
  'The number of failed attempts since the push or the last restart. Null without a policy.';
comment on column async.task.arrived is
  'The id of the transaction that made the task READY last. Null for tasks that are older than the '
  'column.';
comment on column async.task.run_at is
  'The task does not run before this time, whatever happens to it. Null when it may run at once.';
comment on column async.task.expires_at is
  'The deadline of the whole task, waiting and all runs included. Null when it does not expire.';
comment on column async.task.unique_key is
  'At most one task with this key, at each target, is unfinished, or waits for its first start: see '
  'unique_while. Null for tasks without a key.';
comment on column async.task.unique_while is
  'How long the task has its unique key: unfinished, until its end, or waiting, until its first '
  'claim. Null without a key.';
comment on column async.task.schedule is
  'The schedule that pushed the task. Null for a task that a client pushed.';
comment on column async.task.scheduled_for is
  'The time of the schedule for which it pushed the task. Null without a schedule.';
comment on column async.task.receipt is
  'True when the query writes a receipt at its target, which says how a lost run ended. Null for '
  'other tasks.';
comment on column async.task.keep_result_for is
  'The role that pushed the task with keep_result, and may read its result. Null for tasks whose '
  'rows are not kept.';

comment on table async.result is
  'The rows of tasks that were pushed with keep_result. The role that pushed the task, members of '
  'this role, and administrators read them.';
comment on column async.result.task_id is 'The id of the task.';
comment on column async.result.run is 'The run of the task that returned these rows.';
comment on column async.result.row_count is
  'The number of rows that the query returned; of a query without rows, the number that it changed.';
comment on column async.result.rows is
  'An array with the first rows, each an object. Null if none could be stored: see error.';
comment on column async.result.truncated is 'True when rows are missing in rows.';
comment on column async.result.bytes is 'The size of the rows as text, in UTF-8.';
comment on column async.result.error is
  'Why rows is null, or ends before the limit is reached. Null otherwise.';

comment on table async.role_grant is
  'Internal. What async.grant_client and async.grant_admin gave to which roles. async.v_grant '
  'shows it.';
comment on column async.role_grant.grantee is 'The role. Roles with its privileges have the grant.';
comment on column async.role_grant.level is 'client or admin.';
comment on column async.role_grant.targets is
  'The targets that the role may use. * is every target but the server itself.';
comment on column async.role_grant.reaches_self is
  'True when SELF, the server itself, was granted by name.';

comment on view async.v_grant is
  'Which targets clients and administrators may use. The owner of the schema may use all.';
comment on column async.v_grant.grantee is 'The role. Roles with its privileges have the grant.';
comment on column async.v_grant.level is 'client or admin.';
comment on column async.v_grant.targets is
  'The targets that the role may use. * is every target but the server itself.';
comment on column async.v_grant.reaches_self is
  'True when SELF, the server itself, was granted by name.';

comment on table async.caller_key is
  'Internal. One row: the key of the hashes of async.caller. Only the owner reads it.';
comment on column async.caller_key.secret is 'The key: 32 random bytes.';

comment on view async.caller is
  'Internal. The role that reads the view, with a hash that proves it. async.push_tasks and '
  'others read it.';
comment on column async.caller.caller is 'The role that reads the view: current_user.';
comment on column async.caller.ticket is
  'The hash. It holds for this role, in this backend and transaction.';

comment on table async.client_control is
  'One row: whether this database is a client database or a server, and how it reaches its server.';
comment on column async.client_control.client_only is
  'True on a client database, whose calls are forwarded to its server. False on a server.';
comment on column async.client_control.connection_string is
  'The connection string of the server, on a client database. May contain a password. Only the '
  'owner can read it.';
comment on column async.client_control.version is 'The version of the client part.';

comment on table async.migration is
  'Internal. The migrations that were applied to this database.';
comment on column async.migration.migration is 'The name of the migration.';
comment on column async.migration.applied is 'When it was applied.';
