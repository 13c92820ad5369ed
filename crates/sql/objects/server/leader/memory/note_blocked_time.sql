-- Purpose: notes how long a call of dblink to a target blocked the leader, and with it the tasks of
--   all other targets. Targets that block the leader for long share one account: it is compensated when
--   nine times the blocked time has passed, so together they take a tenth of the time of the leader.
-- Returns: whether the call took long.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_blocked_time(in_took interval)
returns bool
language plpgsql
as $function$
declare
  c_slow constant interval := '200 milliseconds';
  c_free_for_each_blocked constant float8 := 9;
begin
  if in_took < c_slow then
    return false;
  end if;
  update pg_temp.leader_state
  set blocking_compensated_at = greatest(blocking_compensated_at, clock_timestamp()) + c_free_for_each_blocked * in_took;
  return true;
end
$function$;
