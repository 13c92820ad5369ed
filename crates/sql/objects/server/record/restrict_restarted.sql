-- Purpose: notes in a task that was restarted whether the role that did so may reach the server
--   itself, since that role runs it now. Not a transition, so no event.
-- Returns: nothing.
-- Raises: what users' triggers raise.
-- Locks: the task's row, until the end of the transaction. (No SET clause: users' triggers would
--   inherit it. Nothing in here depends on the caller's path.)
create or replace function async.restrict_restarted(in_task_id bigint, in_reaches_self bool) returns void
language plpgsql
as $function$
begin
  update async.task t set may_reach_self = case when not in_reaches_self then false end
  where t.task_id operator(pg_catalog.=) in_task_id
    and (t.may_reach_self is not false) operator(pg_catalog.<>) in_reaches_self;
end
$function$;
