-- Purpose: ends the lead of either engine: publishes that no orchestrator leads and that no worker
--   runs a task. Sessions that may still run a query stay in the registry, and the next leader
--   fences them. The goodbye is complete when the registry is empty.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.control and async.leader.
create or replace function async.lead_goodbye(in_why text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update async.worker set task_id = null, running_since = null where task_id is not null;
  update async.leader set goodbye = not exists (select from async.session);
  update async.control set pid = null, running_since = null;
  perform async.log_quiet('NOTICE', format('stopped leading: %s', in_why));
end
$function$;
