-- Purpose: the phase of a task, derived from its row.
-- Returns: READY, RUNNING, YIELDED or FINISHED.
-- Raises: nothing. Locks: none.
create or replace function async.task_execution_state(t async.task) returns async.task_execution_state_t
language sql immutable parallel safe
as $function$
  -- No search_path is set, so that the function can be inlined. It depends on no search_path.
  select case
    when t.processed is not null then 'FINISHED'::async.task_execution_state_t
    when t.yielded is not null then 'YIELDED'::async.task_execution_state_t
    when t.consumed is not null then 'RUNNING'::async.task_execution_state_t
    else 'READY'::async.task_execution_state_t
  end
$function$;
