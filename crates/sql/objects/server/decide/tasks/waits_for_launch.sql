-- Purpose: whether a task waits for its launch: READY, not deferred, with a query. The predicate of
--   the index task_ready.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines the function and finds the index. A role that
--   runs a statement with it therefore needs the right to execute it.)
create or replace function async.waits_for_launch(t async.task)
returns bool language sql immutable as $function$
  select t.consumed is null and t.processed is null and t.yielded is null
    and t.eligible_when is null and t.query is not null
$function$;
