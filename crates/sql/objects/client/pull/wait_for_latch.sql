-- Purpose: waits until the leader has completed a cycle that began after the call. The leader has
--   then read what was committed before the call.
-- Returns: nothing. In the leader session it returns at once.
-- Raises: PA050 when no orchestrator leads, also during the wait; PA051 above READ COMMITTED, where
--   the answer is not visible.
-- Locks: none. A waiting call holds a snapshot.
create or replace function async.wait_for_latch() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    perform async.forward('select async.wait_for_latch()::text');
  elsif not async.is_leader() then
    perform async.await_latch();
  end if;
end
$function$;
