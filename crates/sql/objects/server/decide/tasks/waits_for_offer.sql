-- Purpose: whether a task waits for its offer to clients: READY, not deferred, without a query, not
--   offered. The predicate of the index task_pullable.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines the function and finds the index. A role that
--   runs a statement with it therefore needs the right to execute it.)
create or replace function async.waits_for_offer(t async.task)
returns bool language sql immutable as $function$
  select t.consumed is null and t.processed is null and t.yielded is null
    and t.eligible_when is null and t.query is null and t.tracked is distinct from true
$function$;
