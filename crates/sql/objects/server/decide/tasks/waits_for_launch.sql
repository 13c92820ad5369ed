-- Purpose: whether a task waits to be launched: READY, not deferred, with a query. The predicate of
--   the index task_ready.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines it, and finds the index. So a role that runs a
--   statement with it needs the right to execute it.)
create or replace function async.waits_for_launch(t async.task)
returns bool language sql immutable as $function$
  select t.consumed is null and t.processed is null and t.yielded is null
    and t.eligible_when is null and t.query is not null
$function$;
