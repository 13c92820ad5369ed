-- Purpose: notes in tasks that were restarted whether the role that restarted them may reach the
--   server itself. It is not a transition, so there is no event for it.
-- Returns: nothing.
-- Raises: the errors of user triggers.
-- Locks: the rows of the tasks, until the end of the transaction. (The search path is
--   control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path. Every
--   name and operator is qualified.)
create or replace function async.restrict_restarted(in_task_ids bigint[], in_reaches_self bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update async.task t set may_reach_self = case when not in_reaches_self then false end
  where t.task_id operator(pg_catalog.=) any (in_task_ids)
    and (t.may_reach_self is not false) operator(pg_catalog.<>) in_reaches_self;
end
$function$;
