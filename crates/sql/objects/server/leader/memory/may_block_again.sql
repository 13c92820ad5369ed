-- Purpose: whether a target that blocked the leader may do so again (see async.note_blocked_time). The
--   first two seconds need no compensation beforehand.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_block_again(in_now timestamptz)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (select l.blocking_compensated_at < in_now + interval '18 seconds' from pg_temp.leader_state l);
end
$function$;
