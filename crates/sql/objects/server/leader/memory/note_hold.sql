-- Purpose: accounts for a call that waited for a target, such as a connection to it. dblink waits in
--   the leader's session, so a target that answers late, or never, holds up the tasks of all others.
--   Targets that did so share one account, from which the time that they held the leader is paid
--   back ninefold: together they take a tenth of its time, however many they are.
-- Returns: whether the call took long.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_hold(in_took interval)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_slow constant interval := '200 milliseconds';
  c_free_for_each_held constant float8 := 9;
begin
  if in_took < c_slow then
    return false;
  end if;
  update pg_temp.leader_state
  set holds_paid_at = greatest(holds_paid_at, clock_timestamp()) + c_free_for_each_held * in_took;
  return true;
end
$function$;
