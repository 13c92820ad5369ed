-- Purpose: sessions that were lost are known to be gone: what their tasks became may be recorded now; where that was done
--   before (the deadline came first), the slot they hold is released.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.free_lost_slots(in_sessions bigint[])
returns void
language plpgsql
as $function$
begin
  update pg_temp.leader_slot s set state = 'ended', since = clock_timestamp()
  where s.state = 'lost' and s.session_id = any (in_sessions);
end
$function$;
