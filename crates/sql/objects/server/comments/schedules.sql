-- The tables of schedules. async.schedule and async.configure change them.
comment on table async.schedule is
  'The schedules. The leader pushes their tasks. async.v_schedule shows them.';
comment on column async.schedule.schedule is 'The name of the schedule.';
comment on column async.schedule.owner is
  'The role that made the schedule. Its grants count when the schedule fires.';
comment on column async.schedule."when" is
  'The times: cron with five or six fields, or an interval, as async.next_time reads it.';
comment on column async.schedule.time_zone is 'The time zone of the fields of when.';
comment on column async.schedule.query is 'The query of its tasks. Null for tasks that clients pull.';
comment on column async.schedule.target is
  'The target of its tasks; tag:NAME is every target that has the tag when the schedule fires.';
comment on column async.schedule.overlap is
  'What a time does at a target at which a task of the schedule has not finished: skip, buffer_one, '
  'buffer_all, cancel_other or allow_all.';
comment on column async.schedule.catch_up is
  'Which times fire later when no orchestrator could fire them: none, last or all.';
comment on column async.schedule.priority is 'The priority of its tasks. Null: 0.';
comment on column async.schedule.concurrency_pool is
  'The concurrency pool of its tasks. Null: that of the target.';
comment on column async.schedule.timeout is 'The timeout of its tasks. Null: that of the target.';
comment on column async.schedule.task_data is 'The task_data of its tasks.';
comment on column async.schedule.track_yielded is
  'Whether its tasks keep their pool slots while they are yielded. Null: as the target says.';
comment on column async.schedule.source is 'The source of its tasks.';
comment on column async.schedule.retry is
  'The retry policy of its tasks. Null: that of the target or of control.';
comment on column async.schedule.expires_after is
  'How long after its push a task expires (async.task.expires_at). Null: never.';
comment on column async.schedule.receipt is 'True when its tasks have receipts.';
comment on column async.schedule.configured is
  'True when async.configure has made the schedule, false when async.schedule has.';
comment on column async.schedule.paused is 'True while the schedule does not fire.';
comment on column async.schedule.last_time is
  'All times up to this one are decided: they have fired, wait in async.schedule_wait, or passed.';
comment on column async.schedule.next_time is
  'The first time after last_time. In async.v_schedule null while the schedule is paused.';
comment on column async.schedule.look_at is
  'When the leader looks at the schedule: at next_time, or earlier while a time waits. Null while '
  'the schedule is paused.';
comment on column async.schedule.last_fired is
  'The last time for which a task was pushed. Null before the first one.';
comment on column async.schedule.last_task_id is 'The id of the task that was pushed last.';
comment on column async.schedule.last_skipped is
  'The last time that was skipped at a target because an earlier task had not finished.';
comment on column async.schedule.last_refused is 'When a push was refused last.';
comment on column async.schedule.last_refusal is
  'Why a push was refused last: SQLSTATE and message, without passwords.';
comment on column async.schedule.refusal_logged is 'When last_refusal was written to the log.';

comment on table async.schedule_wait is
  'Internal. Times of schedules that wait for the end of the unfinished task of the schedule at '
  'the target.';
comment on column async.schedule_wait.schedule is 'The schedule.';
comment on column async.schedule_wait.target is 'The target.';
comment on column async.schedule_wait.scheduled_for is 'The time of the schedule that waits.';

comment on view async.v_schedule is
  'The schedules, with their next and last times. Query, task_data and last_refusal are shown to '
  'the owner of the schedule, the owner of the schema, and administrators.';
comment on column async.v_schedule.last_status is
  'The finish status or the phase of the task that was pushed last.';
comment on column async.v_schedule.waiting is
  'How many times wait for the end of a task, over all targets.';
