-- What the tables in which orchestrator and clients keep their state hold.
comment on table async.concurrency_pool_tracker is
  'How full the pools are, at most a second old. Written by the leader.';
comment on column async.concurrency_pool_tracker.concurrency_pool is 'The name of the pool.';
comment on column async.concurrency_pool_tracker.workers is
  'How many tasks hold a slot of the pool.';
comment on column async.concurrency_pool_tracker.max_workers is 'The size of the pool.';

comment on table async.worker is
  'The workers of the leader and what they run, at most a second old. Written by the leader.';
comment on column async.worker.slot is 'The number of the worker, from 1.';
comment on column async.worker.name is 'The name of the worker.';
comment on column async.worker.target is
  'The target that the worker is connected to. Null when it is not connected.';
comment on column async.worker.task_id is 'The task that the worker runs. Null when it runs none.';
comment on column async.worker.running_since is
  'When the worker took the task. Null when it runs none.';

comment on table async.target_at_self is
  'Targets that lead to the server database itself, as a member of the owner of the schema. Their '
  'use needs a grant on SELF. Written by the leader when it registers a session.';
comment on column async.target_at_self.target is 'The name of the target.';
comment on column async.target_at_self.connection_string is
  'The connection string under which it was seen. May hold a password: only the owner reads it.';
comment on column async.target_at_self.noticed is 'When it was seen.';

comment on table async.target_outage is
  'The targets that the leader cannot reach, at most a second old. Written by the leader.';
comment on column async.target_outage.target is 'The name of the target.';
comment on column async.target_outage.since is 'When the target was lost.';
comment on column async.target_outage.error is
  'The error of the last attempt to connect, without passwords.';
comment on column async.target_outage.retry_at is
  'When the leader tries again. Null when the engine does not say.';

comment on table async.server_log is
  'The log. Show it with async.tail() or async.tail_once(). Pruned by age '
  '(control.task_keep_duration).';
comment on column async.server_log.server_log is 'The number of the line. Grows with time.';
comment on column async.server_log.happened is 'When the line was written.';
comment on column async.server_log.level is 'NOTICE, WARNING, INFO, DEBUG or ERROR.';
comment on column async.server_log.message is
  'The message. Passwords in connection strings are masked.';

comment on table async.request is
  'What clients ask of unfinished tasks and the leader has not applied yet. Written by '
  'async.finish, cancel and defer.';
comment on column async.request.request_id is
  'The number of the request. Requests are applied in this order.';
comment on column async.request.task_id is 'The task that the request is about.';
comment on column async.request.status is 'The status that is asked for.';
comment on column async.request.error_message is 'The message for the task''s processing_error.';
comment on column async.request.duration is
  'How long to wait before the task may run again. Required for DEFERRED.';
comment on column async.request.requested is 'When the request was made.';

comment on table async.offer is
  'Tasks without a query that the leader holds a pool slot for and that no client has taken yet.';
comment on column async.offer.task_id is 'The id of the task that is offered.';
comment on column async.offer.target is 'The target of the task.';
comment on column async.offer.pool is 'The pool whose slot the offer holds.';
comment on column async.offer.priority is 'The priority of the task.';
comment on column async.offer.entered is 'When the task was pushed.';
comment on column async.offer.timeout is
  'The time from the taking of the offer to the deadline, for a task that names none. Null is no '
  'deadline.';
comment on column async.offer.offered is 'When the offer was made.';

comment on table async.leader is 'One row: the identity of this server, and its last leader.';
comment on column async.leader.server_id is
  'Names this server in the application_name of sessions at targets.';
comment on column async.leader.system_identifier is
  'The system identifier of the cluster that server_id belongs to.';
comment on column async.leader.database_oid is 'The oid of the database that server_id belongs to.';
comment on column async.leader.epoch is 'The number of the last election. Grows with each.';
comment on column async.leader.engine is 'The engine of the last leader: sql or rust.';
comment on column async.leader.generation is
  'The number of the last rotation of async.launch_mark.';
comment on column async.leader.goodbye is
  'True when the last leader ended in order and left no session behind.';
comment on column async.leader.resign_epoch is
  'The epoch whose leader is asked to resign by a forced takeover. Null when none is.';

comment on table async.election is
  'The elections of leaders, and the server on which each took place.';
comment on column async.election.epoch is 'The epoch that began with the election.';
comment on column async.election.nonce is
  'A random word that, with the epoch, names the leader''s sessions at targets.';
comment on column async.election.elected is 'When the election took place.';
comment on column async.election.address is 'The address of the server. Null behind a Unix socket.';
comment on column async.election.port is 'The port of the server.';
comment on column async.election.timeline is
  'The timeline of the server. Null when the role may not read it.';
comment on column async.election.system_identifier is
  'The system identifier of the server. Null when the role may not read it.';
comment on column async.election.server_started is 'When the server was started.';
comment on column async.election.moved is
  'True when address, port or timeline differ from those of the election before.';

comment on table async.session is
  'The sessions that leaders opened at targets and that are not known to be gone.';
comment on column async.session.session_id is 'The number of the session.';
comment on column async.session.epoch is 'The epoch of the leader that opened it.';
comment on column async.session.slot is 'The number of the worker that opened it.';
comment on column async.session.target is 'The target where it was opened.';
comment on column async.session.connection_string is
  'The connection string that it was opened with. May hold a password: only the owner reads it.';
comment on column async.session.role is 'The role of the session.';
comment on column async.session.pid is 'The process id of its backend at the target.';
comment on column async.session.backend_start is
  'When its backend was started, by the clock of the target.';
comment on column async.session.registered is 'When it was registered.';
comment on column async.session.server_started is
  'When the server of the target was started. Null when a version before 0004_sessions '
  'registered it.';
comment on column async.session.server_address is
  'The address of the server of the target. Null behind a Unix socket.';
comment on column async.session.server_port is
  'The port of the server of the target. Null behind a Unix socket.';
comment on column async.session.system_identifier is
  'The system identifier of the server of the target. Null when the role may not read it.';
comment on column async.session.timeline is
  'The timeline of the server of the target. Null when the role may not read it.';
comment on column async.session.written_off is
  'True when an operator said that the session is gone (async.write_off_session).';
comment on column async.session.at_self is
  'True for a session at the server database itself, of a member of the owner of the schema.';
comment on column async.session.lost_since is
  'Since when the session cannot be ended. Null when it was not tried, or a leader uses it.';
comment on column async.session.lost_error is
  'The error of the last attempt to end the session, without passwords.';

comment on table async.launch_mark is
  'Which claimed tasks were sent to their targets. Unlogged: it is empty after a crash, and then '
  'every claimed task counts as launched.';
comment on column async.launch_mark.task_id is 'The task; 0 in the sentinel.';
comment on column async.launch_mark.run is
  'The run of the task that was launched; in the sentinel async.leader.generation.';
comment on column async.launch_mark.session_id is 'The session that the query was sent to.';
