-- The rows of tasks that were pushed with keep_result. keep_result_for is the role that pushed the task
-- and may read its result; a task without the option has null, and no byte more.
alter table async.task add column keep_result_for text;
alter type async.push_options_t add attribute keep_result bool;

-- At most one result for each task: that of the last run that ended it with a success of its query. No
-- foreign key: the upkeep deletes the results of deleted tasks.
create table async.result (
  task_id bigint primary key,
  run int not null,
  -- The rows that the query returned; those that it changed, if it returns none.
  row_count bigint,
  -- An array of the first rows.
  rows jsonb,
  -- Whether further rows, or all of them, are missing.
  truncated bool not null,
  -- The size of rows as text, in UTF-8.
  bytes int,
  -- Why rows is null, or ends early.
  error text,
  constraint result_without_rows_says_why check (rows is not null or error is not null)
);
-- async.may_read_result decides.
alter table async.result enable row level security;

-- They have another argument.
drop function if exists
  async.push(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text, text),
  async.push_each(text, text[], int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text,
    text);
