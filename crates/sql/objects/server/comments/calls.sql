-- The calls of the server part. docs/errors.md lists the error codes.
comment on procedure async.main(bool, bool) is
  'Leads: runs tasks until it is canceled, or control.enabled is set to false. Returns at once, '
  'with a notice, while another orchestrator leads. _force takes the lead from it. _manual_mode '
  'prepares and returns; then async.cycle() runs one cycle. For the owner. Raises PA206, PA208, '
  'PA209.';
comment on procedure async.cycle(timestamptz, bool) is
  'Runs one cycle of the orchestrator in a session that async.main(_manual_mode => true) prepared. '
  'Returns the time of the last work. Raises PA207.';
comment on function async.finish_internal(bigint[], async.finish_status_t, text, text, interval) is
  'Ends, defers or pauses tasks: a task with a running query when the query ends, any other at '
  'once. For routines, and for triggers on async.task, in the leader session. Raises PA201, PA202, '
  'PA203.';
comment on function async.finish_internal(bigint[], async.finish_status_t, text, text) is
  'The same without a duration.';
comment on function async.push_routine(async.routine_type_t, text) is
  'Registers a procedure that the orchestrator calls when it starts (STARTUP) or in every cycle '
  '(LOOP). _routine is the text after CALL. A second registration changes nothing. Raises PA090.';
comment on function async.next_time(text, text, timestamptz) is
  'The next time of a schedule after _after: cron with five or six fields in a time zone, or an '
  'interval such as "every 30 seconds". Raises PA0A0.';
comment on function async.schedule(
    text, text, text, text, text, text, text, int, text, interval, jsonb, bool, text, text, interval,
    bool) is
  'Makes a schedule, or replaces the one of this name: the leader pushes the query to the target '
  '(or tag:NAME) at the times of _when, for the calling role. Returns the next time. Raises PA0A0, '
  'PA0A1, PA0A2, PA0A5, and the errors of async.push about its options.';
comment on function async.schedule_as(name, bytea, jsonb) is
  'Internal. async.schedule for the role that read the ticket from async.caller.';
comment on function async.unschedule(text) is
  'Removes a schedule. Its tasks go on. Raises PA0A2, PA0A3, PA0A4.';
comment on function async.pause_schedule(text) is
  'Pauses a schedule. Its tasks go on. Raises PA0A3, PA0A4.';
comment on function async.resume_schedule(text) is
  'Ends the pause of a schedule, and returns its next time. The times during the pause have passed. '
  'Raises PA0A3, PA0A4.';
comment on function async.change_schedule_as(name, bytea, text, text) is
  'Internal. async.unschedule, async.pause_schedule and async.resume_schedule for the role that '
  'read the ticket from async.caller.';
comment on function async.log(text, text) is
  'Writes a line to the log, and raises it to the caller at the level NOTICE, WARNING, INFO, DEBUG '
  'or ERROR. ERROR raises PA070, and the line stays in the log. Raises PA071 for another level.';
comment on function async.log(text) is
  'Writes a NOTICE to the log, and raises it to the caller. The line is kept when the '
  'transaction of the caller commits.';
comment on function async.tail_once(bigint, text, int) is
  'The lines of the log after a line, the oldest first; without one, the newest 100. _grep keeps '
  'the lines that contain it.';
comment on procedure async.tail(text, int, interval) is
  'Shows new lines of the log as notices for the time _for; without it, until it is canceled. _grep '
  'keeps the lines that contain it. Raises PA072 when _for is negative.';
comment on function async.active_workers() is
  'The number of workers that run a task, at most one second old.';
comment on function async.worker_info() is
  'The state of the workers: an array of objects with slot, target, task_id, running_since, query '
  'and priority. Null without workers.';
comment on function async.reinitialize_workers() is
  'Applies a changed control.workers: at once in the leader session, otherwise at the next poll of '
  'the orchestrator.';
comment on function async.set_concurrency_pool_tracker(text[]) is
  'Adds pools to async.concurrency_pool_tracker, for scripts of the original library. The leader '
  'does so by itself.';
comment on function async.interval_pretty(interval) is
  'An interval in short form: 1d 2h 3m 4s, 3m 4s, 1.5s.';
comment on function async.write_off_session(bigint) is
  'Declares that a session of async.v_lost_session is gone, so that its tasks end. Raises PA214.';
comment on function async.target_setup(text) is
  'The SQL that a target needs for tasks with receipts, to be run in its database. Raises PA011.';
comment on function async.set_trigger_search_path(text[]) is
  'Sets the schemas in which triggers on async.task and routines find unqualified names. For the '
  'owner. Raises PA061 for a schema that does not exist.';
comment on function async.adopt() is
  'Makes a physical copy of a server (a restored backup, a promoted clone) a server of its own. '
  'Returns its new id. For the owner. Raises PA211 while an orchestrator leads.';
comment on function async.schema_fingerprint() is
  'The fingerprint of the texts that the schema was installed from: 16 hexadecimal digits.';
comment on function async.request_finish(bigint[], async.finish_status_t, text, interval) is
  'Internal. Writes the requests of async.finish, cancel and defer on the server. Returns a '
  'warning, or null. Raises PA020, PA021, PA022.';
comment on function async.pool_limit(text) is
  'Internal. The number of pool slots of a pool.';
comment on function async.is_paused(text, text) is
  'Internal. True while a pool or a target is paused.';
comment on function async.is_pushed_by(text, text[], text[]) is
  'Internal. True for the pushed_by of a task that one of the roles has pushed.';
comment on function async.why_task_waits(name, bytea, bigint) is
  'Internal. Why a READY task waits, for the role that pushed it and that read the ticket from '
  'async.caller.';
comment on function async.leader_exists() is
  'Internal. True while an orchestrator leads.';
comment on function async.waits_for_launch(async.task) is
  'Internal. True for a READY task with a query that is not deferred.';
comment on function async.waits_for_offer(async.task) is
  'Internal. True for a READY task without a query that is neither deferred nor offered.';
comment on function async.discover_lanes() is
  'Internal. The lanes, pairs of a pool and a target, with READY tasks. pullable: the tasks have '
  'no query, and clients pull them.';
comment on function async.error_group(text) is
  'The group of an error: its SQLSTATE, and its first line, in which # stands for each '
  'number.';
comment on function async.lane_backlog(text, text, bool) is
  'Internal. The READY tasks of a lane: their number, counted up to 10000 (more: there are '
  'more), the first one, and when the oldest was pushed.';
comment on function async.read_metrics() is
  'Internal. The metrics of the server: one row for each series. async.v_metric has them in '
  'order.';
comment on function async.leader_session() is
  'Internal. The leader session: its process id, the host of its client, its application_name, '
  'and the time since its last commit. No row while no orchestrator leads.';
comment on function async.standby_sessions() is
  'Internal. The number of sessions of pgasync run in this database that do not lead.';
comment on function async.await_ends(bigint[], timestamptz) is
  'Internal. Waits until tasks have ended. async.wait_for(bigint[], interval) calls it.';
comment on function async.set_target(text, jsonb) is
  'Adds a target, or changes the given settings of one and revives it. The settings are the keys '
  'of an element of targets in async.configure. Other targets stay as they are. A running leader '
  'applies the change. Raises PA060 and PA084, with a path that begins with targets[0].';
comment on function async.retire_target(text) is
  'Retires a target: it refuses new tasks, finishes those that it has, and keeps its history. '
  'async.set_target revives it. Raises PA060 for a target that does not exist, and for the '
  'server itself.';
comment on function async.set_pool(text, int, jsonb) is
  'Adds a concurrency pool, or changes its size and the other given settings and revives it. The '
  'settings are the keys of an element of concurrency_pools in async.configure. Other pools stay '
  'as they are. A running leader applies the change. Raises PA060, with a path that begins with '
  'concurrency_pools[0].';
comment on function async.set_control(jsonb) is
  'Changes the given settings of async.control. The others stay as they are. A running leader '
  'applies the change. Raises PA060 and PA084, with a path that begins with control.';
comment on function async.configuration() is
  'The present configuration as a document for async.configure. Passwords are masked, so a '
  'connection string with a password has to be left out or completed before the document is '
  'given back. Settings without a value, and schedules that async.schedule made, are left out.';
comment on function async.change_part_as(name, bytea, text, text, jsonb) is
  'Internal. async.set_target and async.set_pool for the role that read the ticket from '
  'async.caller.';
comment on function async.refuse_configuration(text, text) is
  'Internal. Raises the error with which async.configure refuses a document.';
