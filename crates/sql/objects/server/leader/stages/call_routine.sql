-- Purpose: runs one routine of the users', and checks the constraints that it leaves to be checked
--   at the commit: the commit of the leader must not fail.
-- Returns: nothing.
-- Raises: what the routine and the constraints raise.
-- Locks: whatever the routine locks. (The search path is control.trigger_search_path, so that the
--   routine inherits it: see async.bind_trigger_path. Every name and operator in here is
--   qualified.)
create or replace function async.call_routine(in_call text, in_defer text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  execute in_call;
  perform async.check_constraints(in_defer);
end
$function$;
