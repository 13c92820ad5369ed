-- Purpose: lets the tasks of lost sessions be recorded, after the sessions are known to be gone. A
--   task that was recorded before, at its deadline, releases its pool slot.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.settle_lost_sessions(in_sessions bigint[])
returns void
language plpgsql
as $function$
begin
  update pg_temp.leader_worker s set state = 'ended', since = clock_timestamp()
  where s.state = 'lost' and s.session_id = any (in_sessions);
end
$function$;
