-- The schedule that pushed a task, and the time for which it did.
alter table async.task
  add column schedule text,
  add column scheduled_for timestamptz;
