-- The retry policy of a task, as its push copied it, and the number of its failed attempts. Both are
-- null without a policy. Such a task has no byte more than before.
alter table async.task add column retry jsonb;
alter table async.task add column attempt int;
-- Not valid: the rows from before have neither, so they need no scan.
alter table async.task
  add constraint task_attempt_of_policy check ((retry is null) = (attempt is null) and attempt >= 0) not valid;

-- The name of the policy; null: that of the target or of control.
alter type async.push_options_t add attribute retry text;
