-- The role whose request ended the task. Null for any other end, and a task without it has no byte more.
alter table async.task add column ended_by text;
