-- Purpose: builds one element for async.push_tasks, with named arguments.
-- Returns: the element.
-- Raises: nothing. Locks: none.
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
  -- No search_path is set, so that the function can be inlined. It depends on no search_path.
  select row(task_data, target, priority, _query, concurrency_pool, manual_timeout, track_yielded)::async.task_push_t
$function$;
