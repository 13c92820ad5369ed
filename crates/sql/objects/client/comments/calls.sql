-- What the calls of the client part do. The codes of errors are listed in docs/errors.md.
comment on function async.task(text, text, jsonb, int, text, interval, bool) is
  'Builds one task for async.push_tasks. Stores nothing.';
comment on function async.push_tasks(async.task_push_t[], async.task_run_type_t, text) is
  'Pushes tasks in the caller''s transaction, in the order of the array. Returns the new rows in '
  'that order. Raises PA010 to PA016 and PA082, naming the element, and then pushes nothing. On a '
  'client the server pushes, and commits on its own.';
comment on function async.push_task(async.task_push_t, async.task_run_type_t, text) is
  'Pushes one task and returns its id. Raises what async.push_tasks raises.';
comment on function async.finish(bigint[], async.finish_status_t, text, interval) is
  'Asks the orchestrator to end tasks with a status, or to defer (DEFERRED, after _duration) or '
  'pause (PAUSED) them. Does not wait. Takes effect when the caller''s transaction commits. '
  'Warns about unknown and finished ids. Raises PA020, PA021, PA022.';
comment on function async.finish(bigint[], async.finish_status_t, text) is
  'async.finish without a duration.';
comment on function async.cancel(bigint[], text) is
  'Asks the orchestrator to cancel tasks. They end as CANCELED, except where the query committed '
  'first. Does not wait. Warns about unknown and finished ids.';
comment on function async.defer(bigint[], interval) is
  'Asks the orchestrator to put tasks back into the queue, not to run before the duration has '
  'passed. Does not wait. Warns about unknown and finished ids. Raises PA021, PA022.';
comment on function async.restart_task(bigint) is
  'Puts a finished task back into the queue at once, with a clean slate. Raises PA030 to PA033, PA082.';
comment on function async.get_tasks(text, int, interval) is
  'Takes up to _limit tasks without a query at a target, and waits up to _timeout (a minute at '
  'most) for the first. Finish each with async.finish before its times_up. Two callers never get '
  'one task. Raises PA040, PA041, PA082.';
comment on function async.wait_for_latch() is
  'Returns when the orchestrator has gone through a whole cycle that began after the call. '
  'Raises PA050 while no orchestrator leads, PA051 above READ COMMITTED.';
comment on function async.server(text) is
  'Returns where the server of this client is, without the password unless the caller owns the '
  'schema; null on a server. With an argument, sets it first (administrators). Raises PA001, '
  'PA004.';
comment on function async.masked_server() is
  'The connection string of a client''s server, with the password masked. async.server() calls it.';
comment on function async.set_server(text) is
  'Sets the connection string of a client''s server. async.server(text) calls it. Raises PA001.';
comment on function async.configure(jsonb) is
  'Changes settings, targets and concurrency pools. The document has the keys control, targets '
  'and concurrency_pools; a key that is missing or null changes nothing; a list that is given is '
  'the whole list. Takes effect in a running orchestrator. Raises PA060 and PA084, naming the '
  'path, and then changes nothing.';
comment on function async.client_only() is
  'True on a client, whose calls are forwarded to its server. False on a server.';
comment on function async.task_execution_state(async.task) is
  'The phase of a task: READY, RUNNING, YIELDED or FINISHED.';
comment on function async.mask_connection_string(text) is
  'The text with each password in a connection string replaced by ****.';
comment on function async.grant_client(text, text[]) is
  'Lets a role push, restart and pull tasks at the named targets, and read, finish, cancel and '
  'defer any. * is every target but the server itself, and the default; SELF is the server itself. '
  'A second call replaces the targets. Raises PA080, PA081. Warns (PA083) about a target that is '
  'not configured.';
comment on function async.revoke_client(text) is
  'Takes back what async.grant_client gave. Raises PA080 when there is no such role.';
comment on function async.grant_admin(text) is
  'Lets a role do what a client may at every target but the server itself, and configure, set the '
  'server, pause, and read the log and the views. Raises PA080 when there is no such role.';
comment on function async.revoke_admin(text) is
  'Takes back what async.grant_admin gave; what async.grant_client gave stays. Raises PA080 when '
  'there is no such role.';
comment on function async.push_as(name, bytea, async.task_push_t[], async.task_run_type_t, text, async.scope_t) is
  'What async.push_tasks does for the role that read the ticket from async.caller.';
comment on function async.push_forwarded(async.task_push_t[], async.task_run_type_t, text, async.scope_t) is
  'async.push_tasks as a client database calls it on its server, with the grants of its caller.';
comment on function async.restart_as(name, bytea, bigint, async.scope_t) is
  'What async.restart_task does for the role that read the ticket from async.caller.';
comment on function async.restart_forwarded(bigint, async.scope_t) is
  'async.restart_task as a client database calls it on its server, with the grants of its caller.';
comment on function async.pull_as(name, bytea, text, int, interval, async.scope_t) is
  'What async.get_tasks does for the role that read the ticket from async.caller.';
comment on function async.get_tasks_forwarded(text, int, interval, async.scope_t) is
  'async.get_tasks as a client database calls it on its server, with the grants of its caller.';
comment on function async.configure_as(name, bytea, jsonb, bool) is
  'What async.configure does for the role that read the ticket from async.caller.';
comment on function async.configure_forwarded(jsonb, bool) is
  'async.configure as a client database calls it on its server.';
