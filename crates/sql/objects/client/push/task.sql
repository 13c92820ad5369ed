-- Purpose: one element for push_tasks, with the arguments that matter by name.
-- Returns: it.
-- Raises:  nothing. Locks: none.
create or replace function async.task(
  _query text,
  target text,
  task_data jsonb default null,
  priority int default 0,
  concurrency_pool text default null,
  manual_timeout interval default null,
  track_yielded bool default null) returns async.task_push_t
language sql immutable parallel safe
as $function$
  -- No search_path is set, so that the function can be inlined; nothing here depends on it.
  select row(task_data, target, priority, _query, concurrency_pool, manual_timeout, track_yielded)::async.task_push_t
$function$;
