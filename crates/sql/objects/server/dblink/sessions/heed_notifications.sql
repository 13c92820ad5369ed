-- Purpose: a stage of a cycle before all that reads: takes the notifications that came while the
--   leader works. When they come in numbers, it states that the leader is awake: notifications make
--   pushes more expensive than the cycles of a leader that works anyway.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: as async.set_asleep.
create or replace function async.heed_notifications()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_notifications_max constant int := 8;
begin
  if async.drain_notifications() >= c_notifications_max then
    perform async.set_asleep(l.epoch, false) from pg_temp.leader_state l;
  end if;
end
$function$;
