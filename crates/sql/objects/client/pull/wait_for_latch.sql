-- Purpose: wait until the leader has passed through one whole cycle that began after the call: what
--   was committed before has been seen.
-- Returns: nothing; in the leader's own session at once.
-- Raises: PA050 when no orchestrator leads (also while waiting), PA051 above READ COMMITTED, where
--   the answer could not be seen.
-- Locks: none; a waiting call holds a snapshot.
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
