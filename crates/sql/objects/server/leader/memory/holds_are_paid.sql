-- Purpose: whether a target that held up the leader may do so again (see note_hold). Its account may
--   be overdrawn by the first two seconds.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.holds_are_paid(in_now timestamptz)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select l.holds_paid_at < in_now + interval '18 seconds' from pg_temp.leader_state l);
end
$function$;
