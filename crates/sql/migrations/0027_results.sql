-- END_OK of a task with keep_result_for: the answer of the target (async.keep_query), or why there is
-- none.
alter type async.event_t add attribute result text;

-- The most bytes of the rows of one task, as JSON in UTF-8.
alter table async.control add column result_bytes_max int not null default 1048576
  constraint control_result_bytes_max_range check (result_bytes_max between 1024 and 16777216);

-- It returns one column more.
drop function if exists async.lead_mark(bigint, bigint[], int[], bigint[]);
-- It checks the tasks as well.
drop function if exists async.refuse_options(async.push_options_t[]);
