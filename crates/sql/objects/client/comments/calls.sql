-- The calls of the client part. docs/errors.md lists the error codes.
comment on function async.task(text, text, jsonb, int, text, interval, bool) is
  'Builds one task for async.push_tasks. Stores nothing.';
comment on function async.push_tasks(async.task_push_t[], async.task_run_type_t, text) is
  'Pushes tasks in the transaction of the caller, in the order of the array. Returns the new rows '
  'in that order. Raises PA010 to PA01B and PA082 with the position of the element, PA01C, and then '
  'pushes nothing. On a client database the server pushes, and commits on its own.';
comment on function async.push_task(async.task_push_t, async.task_run_type_t, text) is
  'Pushes one task and returns its id, or null if a trigger kept the row out. Raises what '
  'async.push_tasks raises.';
comment on function async.push_many(jsonb) is
  'Pushes tasks with options: an array of objects with the keys query, target, and the options '
  'of async.push. Returns for each element, in order, the id of the new task, or that of the '
  'task that has its unique key already, and whether it is such a duplicate. Raises PA010 to '
  'PA01K and PA082 with the element, and then pushes nothing.';
comment on function async.push(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text,
    text, text, text, bool, bool) is
  'Pushes one task with options, in the transaction of the caller, and returns its id, or that '
  'of the task that has its unique key already. An option that is null has its default. '
  'priority: lower values run first, default 0. concurrency_pool, timeout and track_yielded: '
  'default those of the target; the timeout is the time from the first start to the deadline. '
  'task_data: data of the client. source: a name for the origin, up to 255 bytes. run_at: the '
  'earliest start. expires_at: the deadline of the whole task, its waiting included. unique_key '
  '(up to 1024 bytes), unique_while (unfinished or waiting, default unfinished), on_conflict '
  '(skip, error or replace, default skip): at each target one task has a key at a time. retry: '
  'the name of a retry policy, or none; default that of the target, else of control. '
  'keep_result: true keeps the rows. receipt: true makes the outcome of a lost run known. Raises '
  'what async.push_many raises.';
comment on function async.push_each(text, text[], int, text, interval, jsonb, bool, text, timestamptz, timestamptz,
    text, text, text, text, bool, bool) is
  'Pushes one query to each of some targets, with the same options. Returns the ids in the order of '
  'the targets. Raises what async.push_many raises.';
comment on function async.targets(text) is
  'The names of the targets with a tag, sorted, without retired ones and those that the caller '
  'may not use.';
comment on function async.push_many_as(name, bytea, jsonb, async.scope_t) is
  'Internal. async.push_many for the role that read the ticket from async.caller.';
comment on function async.push_many_forwarded(jsonb, async.scope_t, text, text) is
  'Internal. async.push_many as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.targets_as(name, bytea, text, async.scope_t) is
  'Internal. async.targets for the role that read the ticket from async.caller.';
comment on function async.targets_forwarded(text, async.scope_t) is
  'Internal. async.targets as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.finish(bigint[], async.finish_status_t, text, interval) is
  'Asks the orchestrator to end tasks with a status, to defer them (DEFERRED, by _duration) or to '
  'pause them (PAUSED). Does not wait. Takes effect after the commit of the caller''s transaction. '
  'Warns about unknown and finished ids. Raises PA020, PA021, PA022.';
comment on function async.finish(bigint[], async.finish_status_t, text) is
  'The same without a duration.';
comment on function async.cancel(bigint[], text) is
  'Asks the orchestrator to cancel tasks. They end as CANCELED, unless the query committed first. '
  'Does not wait. Warns about unknown and finished ids.';
comment on function async.defer(bigint[], interval) is
  'Asks the orchestrator to return tasks to the queue. They do not start before the duration has '
  'passed. Does not wait. Warns about unknown and finished ids. Raises PA021, PA022.';
comment on function async.restart_task(bigint) is
  'Resets a finished task to READY at once and clears its results. Raises PA030 to PA035, PA082.';
comment on function async.restart(bigint[]) is
  'async.restart_task for several tasks: all of them, or none.';
comment on function async.restart_many_forwarded(bigint[], async.scope_t) is
  'Internal. async.restart as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.wait_for(bigint[], interval) is
  'Waits until tasks have ended, up to _timeout (at most one minute), and returns those that have, in '
  'the order of the ids. Raises PA051 above READ COMMITTED, PA052 for a task that does not exist, '
  'PA053 for one that the transaction itself has pushed or restarted.';
comment on function async.forward_wait_for(bigint[], timestamptz) is
  'Internal. async.wait_for on a client database.';
comment on function async.get_result(bigint) is
  'The result of a task that was pushed with keep_result: one row of async.result, or none.';
comment on function async.forward_get_result(bigint) is
  'Internal. async.get_result on a client database.';
comment on function async.roles_of(name) is
  'Internal. The roles whose privileges a role has.';
comment on function async.ambiguous_roles() is
  'Internal. The roles whose names read like two names in async.task.pushed_by.';
comment on function async.may_read_result(text) is
  'Internal. True when the caller may read the results of the tasks that a role has pushed.';
comment on procedure async.run(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text,
    text, text, text, bool, bool, jsonb) is
  'Pushes a task, commits, waits for its end, and returns its rows in _result. Raises the error of '
  'the task with its SQLSTATE, or PA055; PA054 inside a transaction block, PA051 above READ '
  'COMMITTED, PA056 if the task succeeded and its rows are not available. Warns (PA057) if rows are '
  'missing.';
comment on function async.check_run(text) is
  'Internal. Checks that async.run may commit. Raises PA051, PA054.';
comment on function async.try_to_commit() is
  'Internal. Raises the error of a COMMIT in a function, for async.check_run.';
comment on function async.run_result(async.task) is
  'Internal. What async.run returns for a task that has ended. Raises PA055, PA056 and the error '
  'of the task.';
comment on function async.get_tasks(text, int, interval) is
  'Takes up to _limit tasks without a query at a target, and waits up to _timeout (at most one '
  'minute) for the first. Finish each with async.finish before its times_up. No task is returned '
  'to two callers. Raises PA040, PA041, PA082.';
comment on function async.wait_for_latch() is
  'Returns when the orchestrator has completed a whole cycle that began after the call. Raises '
  'PA050 while no orchestrator leads, PA051 above READ COMMITTED.';
comment on function async.server(text) is
  'Returns the connection string of the server of this client database, without the password '
  'unless the caller may read the column; null on a server. With an argument, sets it first '
  '(administrators). Raises PA001, PA004, PA084.';
comment on function async.masked_server() is
  'Internal. The connection string of the server of a client database, with the password masked. '
  'async.server() calls it.';
comment on function async.references_secret(text) is
  'Internal. True when the password of a connection string is a reference, which only pgasync '
  'run resolves.';
comment on function async.set_server_as(name, bytea, text) is
  'Internal. Sets the connection string of the server of a client database. async.server(text) '
  'calls it. Raises PA001, PA084.';
comment on function async.configure(jsonb) is
  'Changes settings, targets, concurrency pools, retry policies and schedules. The document has '
  'the keys control, targets, concurrency_pools, retry_policies and schedules. A key that is '
  'missing or null changes nothing. A list that is given is the complete list: targets and pools '
  'that it leaves out are retired, policies and schedules of documents are removed. Takes effect '
  'in a running orchestrator. Raises PA060 and PA084 with the path of the value, and then '
  'changes nothing.';
comment on function async.client_only() is
  'True on a client database, whose calls are forwarded to its server. False on a server.';
comment on function async.task_execution_state(async.task) is
  'The phase of a task: READY, RUNNING, YIELDED or FINISHED.';
comment on function async.mask_connection_string(text) is
  'Masks the secrets in a connection string: its settings, with each secret replaced by ****. A '
  'string that cannot be parsed becomes **** as a whole.';
comment on function async.grant_client(text, text[]) is
  'Lets a role push, restart and pull tasks at the named targets, and read, finish, cancel and '
  'defer any task. * is every target but the server itself, and the default; SELF is the server '
  'itself. A second call replaces the targets. Raises PA080, PA081. Warns (PA083) about a target '
  'that is not configured.';
comment on function async.revoke_client(text) is
  'Revokes what async.grant_client granted. Raises PA080 when the role does not exist.';
comment on function async.grant_admin(text) is
  'Lets a role do what a client may do at every target but the server itself, configure, set the '
  'server, pause, and read the log and the views. Raises PA080 when the role does not exist.';
comment on function async.revoke_admin(text) is
  'Revokes what async.grant_admin granted; what async.grant_client granted stays. Raises PA080 when '
  'the role does not exist.';
comment on function async.push_as(name, bytea, async.task_push_t[], async.task_run_type_t, text, async.scope_t) is
  'Internal. async.push_tasks for the role that read the ticket from async.caller.';
comment on function async.push_forwarded(async.task_push_t[], async.task_run_type_t, text, async.scope_t) is
  'Internal. async.push_tasks as a client database calls it on its server, with the grants of '
  'its caller.';
comment on function async.restart_as(name, bytea, bigint[], async.scope_t) is
  'Internal. async.restart for the role that read the ticket from async.caller.';
comment on function async.restart_forwarded(bigint, async.scope_t) is
  'Internal. async.restart_task as a client database calls it on its server, with the grants of '
  'its caller.';
comment on function async.pull_as(name, bytea, text, int, interval, async.scope_t) is
  'Internal. async.get_tasks for the role that read the ticket from async.caller.';
comment on function async.get_tasks_forwarded(text, int, interval, async.scope_t) is
  'Internal. async.get_tasks as a client database calls it on its server, with the grants of its '
  'caller.';
comment on function async.configure_as(name, bytea, jsonb, bool) is
  'Internal. async.configure for the role that read the ticket from async.caller.';
comment on function async.configure_forwarded(jsonb, bool) is
  'Internal. async.configure as a client database calls it on its server.';
