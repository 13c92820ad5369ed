-- Purpose: states whether pushes and requests have to notify the leader (async.wake_leader). The
--   value counts at once, before the commit. An unchanged value is not written.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; async.leader_sleep in row exclusive mode.
create or replace function async.set_asleep(in_epoch bigint, in_asleep bool)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.hold_epoch(in_epoch);
  perform setval('async.leader_sleep', in_asleep::int)
  from async.leader_sleep s where s.last_value <> in_asleep::int;
end
$function$;
