-- Purpose: runs one routine of the user, and checks the constraints that it deferred, because the
--   commit of the leader must not fail.
-- Returns: nothing.
-- Raises: the errors of the routine and of the constraints.
-- Locks: the locks of the routine. (The search path is control.trigger_search_path, which the
--   routine inherits: see async.bind_trigger_path. Every name and operator is qualified.)
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
