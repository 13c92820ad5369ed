-- The tables with the state of orchestrator and clients.
comment on table async.concurrency_pool_tracker is
  'The occupancy of the pools, at most one second old. The leader writes it.';
comment on column async.concurrency_pool_tracker.concurrency_pool is 'The name of the pool.';
comment on column async.concurrency_pool_tracker.workers is
  'The number of tasks that hold a pool slot.';
comment on column async.concurrency_pool_tracker.max_workers is 'The size of the pool.';

comment on table async.metric is
  'Internal. The counters of the present leader, or of the last one, a few seconds old. The '
  'leader writes it. async.v_metric shows them.';
comment on column async.metric.metric is 'The name of the metric.';
comment on column async.metric.labels is 'The labels of the series.';
comment on column async.metric.epoch is 'The epoch of the leader that counted.';
comment on column async.metric.value is 'The count. For a histogram the sum of all observations.';
comment on column async.metric.buckets is
  'For a histogram the number of observations in each bucket. Null for a counter.';

comment on table async.worker is
  'The workers of the leader and their tasks, at most one second old. The leader writes it.';
comment on column async.worker.slot is 'The number of the worker, from 1.';
comment on column async.worker.name is 'The name of the worker.';
comment on column async.worker.target is
  'The target that the worker is connected to. Null without a connection.';
comment on column async.worker.task_id is 'The task that the worker runs. Null without a task.';
comment on column async.worker.running_since is
  'When the worker took the task. Null without a task.';

comment on table async.target_at_self is
  'Internal. Targets that lead to the server database itself, as a member of the owner of the '
  'schema. Their use needs a grant on SELF. Written by the leader when it registers a session.';
comment on column async.target_at_self.target is 'The name of the target.';
comment on column async.target_at_self.connection_string is
  'The connection string under which it was seen. May hold a password: only the owner reads it.';
comment on column async.target_at_self.noticed is 'When it was seen.';

comment on table async.target_outage is
  'The targets that the leader cannot reach, at most one second old. The leader writes it.';
comment on column async.target_outage.target is 'The name of the target.';
comment on column async.target_outage.since is 'When the target became unreachable.';
comment on column async.target_outage.error is
  'The error of the last attempt to connect, without passwords.';
comment on column async.target_outage.retry_at is
  'The time of the next attempt. Null when the engine does not publish it.';

comment on table async.server_log is
  'The log. async.tail() and async.tail_once() show it. Lines are kept for '
  'control.task_keep_duration.';
comment on column async.server_log.server_log is 'The number of the line. It grows with time.';
comment on column async.server_log.happened is 'When the line was written.';
comment on column async.server_log.level is 'NOTICE, WARNING, INFO, DEBUG or ERROR.';
comment on column async.server_log.message is
  'The message. Passwords in connection strings are masked.';

comment on table async.request is
  'The requests of clients for unfinished tasks that the leader has not applied yet. async.finish, '
  'cancel and defer write them.';
comment on column async.request.request_id is
  'The number of the request. The requests for a task are applied in this order.';
comment on column async.request.task_id is 'The task of the request.';
comment on column async.request.status is 'The requested status.';
comment on column async.request.error_message is 'The message for processing_error of the task.';
comment on column async.request.duration is
  'The time before the task may run again. Required for DEFERRED.';
comment on column async.request.requested is 'When the request was made.';
comment on column async.request.requested_by is
  'The role that made the request, by its login: its session_user. Null for one of the engine.';

comment on table async.offer is
  'The offers: tasks without a query that hold a pool slot, and that no client has taken yet.';
comment on column async.offer.task_id is 'The task that is offered.';
comment on column async.offer.target is 'The target of the task.';
comment on column async.offer.pool is 'The pool of the pool slot.';
comment on column async.offer.priority is 'The priority of the task.';
comment on column async.offer.entered is 'When the task was pushed.';
comment on column async.offer.timeout is
  'The time from the taking of the offer to the deadline, for a task without a manual_timeout. '
  'Null is no deadline.';
comment on column async.offer.offered is 'When the offer was made.';

comment on table async.leader_lock is
  'Internal. One row: how the present leader is recognized.';
comment on column async.leader_lock.pid is 'The pid of the backend that won the last election.';
comment on column async.leader_lock.key is
  'The key of the advisory lock that this backend holds as long as it leads. Each election draws another.';
comment on sequence async.leader_sleep is
  'Whether the leader sleeps: 1 while pushes and requests notify it, 0 while it polls. Only the leader '
  'writes it.';
comment on table async.configuration_lock is
  'Internal. Empty. Calls of async.configure wait for each other here.';
comment on table async.leader is 'One row: the identity of this server, and its last leader.';
comment on column async.leader.server_id is
  'The id of this server in the application_name of its sessions at targets.';
comment on column async.leader.system_identifier is
  'The system identifier of the cluster that server_id belongs to.';
comment on column async.leader.database_oid is 'The oid of the database that server_id belongs to.';
comment on column async.leader.epoch is
  'The number of the last election. It grows with each election.';
comment on column async.leader.engine is 'The engine of the last leader: sql or rust.';
comment on column async.leader.generation is
  'The number of the last rotation of async.launch_mark.';
comment on column async.leader.goodbye is
  'True when the last leader shut down gracefully and left no session behind.';
comment on column async.leader.resign_epoch is
  'The epoch whose leader a forced takeover asks to resign. Null without a takeover.';

comment on table async.election is
  'The elections, and the server on which each took place.';
comment on column async.election.epoch is 'The epoch that began with the election.';
comment on column async.election.nonce is
  'The nonce: a random text. Epoch and nonce are part of the names of the leader''s sessions at '
  'targets.';
comment on column async.election.elected is 'When the election took place.';
comment on column async.election.address is 'The address of the server. Null over a Unix socket.';
comment on column async.election.port is 'The port of the server.';
comment on column async.election.timeline is
  'The timeline of the server. Null when the role may not read it.';
comment on column async.election.system_identifier is
  'The system identifier of the server. Null when the role may not read it.';
comment on column async.election.server_started is 'When the server was started.';
comment on column async.election.moved is
  'True when address, port or timeline differ from those of the previous election.';

comment on table async.session is
  'The sessions that leaders opened at targets and that are not known to be gone.';
comment on column async.session.session_id is 'The number of the session.';
comment on column async.session.epoch is 'The epoch of the leader that opened it.';
comment on column async.session.slot is 'The number of the worker that opened it.';
comment on column async.session.target is 'The target of the session.';
comment on column async.session.connection_string is
  'The connection string that it was opened with. May contain a password. Only the owner can read '
  'it.';
comment on column async.session.role is 'The role of the session.';
comment on column async.session.pid is 'The process id of its backend at the target.';
comment on column async.session.backend_start is
  'When its backend was started, by the clock of the target.';
comment on column async.session.registered is 'When it was registered.';
comment on column async.session.server_started is
  'When the server of the target was started. Null when a version before 0004_sessions '
  'registered it.';
comment on column async.session.server_address is
  'The address of the server of the target. Null over a Unix socket.';
comment on column async.session.server_port is
  'The port of the server of the target. Null over a Unix socket.';
comment on column async.session.system_identifier is
  'The system identifier of the server of the target. Null when the role may not read it.';
comment on column async.session.timeline is
  'The timeline of the server of the target. Null when the role may not read it.';
comment on column async.session.written_off is
  'True when an operator has declared that the session is gone (async.write_off_session).';
comment on column async.session.at_self is
  'True for a session at the server database itself, of a member of the owner of the schema.';
comment on column async.session.lost_since is
  'Since when the session cannot be ended. Null before the first attempt, and while a leader uses '
  'the session.';
comment on column async.session.lost_error is
  'The error of the last attempt to end the session, without passwords.';
comment on column async.session.written_off_by is
  'The role that wrote the session off. Null if none did.';
comment on column async.session.settled is
  'True when the session is gone, and stays for the receipt of a run that is not recorded.';

comment on table async.receipt is
  'The receipts that runs may have written at their targets. A row is written before the launch, and '
  'deleted with the receipt, control.receipt_keep after the end of the task.';
comment on column async.receipt.task_id is 'The task whose run may have written it.';
comment on column async.receipt.run is 'The run of the task.';
comment on column async.receipt.server_id is 'The id of this server, in the key at the target.';
comment on column async.receipt.election is
  'The nonce of the election of the leader that launched the run, in the key at the target.';
comment on column async.receipt.session_id is 'The session of the run, in async.session.';
comment on column async.receipt.target is 'The target.';
comment on column async.receipt.marked is 'When the launch was marked.';

comment on table async.launch_mark is
  'Internal. The launch marks: the claimed tasks whose queries were sent or are about to be '
  'sent. The table is unlogged, so it is empty after a crash, and then every claimed task counts '
  'as launched.';
comment on column async.launch_mark.task_id is 'The task. 0 in the sentinel.';
comment on column async.launch_mark.run is
  'The run of the task. In the sentinel, async.leader.generation.';
comment on column async.launch_mark.session_id is
  'The session for the query. 0 when any registered session of the target may run it.';

comment on table async.attempt is
  'The ended attempts of tasks with a retry policy, except for a success at the first attempt.';
comment on column async.attempt.task_id is 'The id of the task.';
comment on column async.attempt.run is 'The run of the task.';
comment on column async.attempt.attempt is
  'The number of the attempt, from 1. A restart of the task begins with 1 again.';
comment on column async.attempt.began is 'The claim. Null if the task was not claimed.';
comment on column async.attempt.ended is 'The end of the attempt.';
comment on column async.attempt.status is 'How the attempt ended.';
comment on column async.attempt.error is 'The error or message of the end.';
comment on column async.attempt.ended_by is
  'The role whose request ended the attempt. Null for any other end.';
