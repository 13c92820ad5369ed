-- Purpose: lets pushes and requests notify the leader from now on. The leader polls in a later
--   statement, and again when the transactions have ended that may have found it awake.
-- Returns: the transaction id below which such transactions are (0: none is open), and whether one
--   is open; nulls when an election holds the lock, then the leader stays awake.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: as async.set_asleep; waits up to lock_timeout. (The commit is not waited for: a crash may
--   undo it, and ends the lead.)
create or replace function async.fall_asleep(in_epoch bigint, out out_before bigint, out out_open bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('synchronous_commit', 'off', true);
  begin
    perform async.set_asleep(in_epoch, true);
  exception when lock_not_available then
    return;
  end;
  -- A transaction that found the leader awake had its id before, and is open or visible now. Later
  -- transactions get greater ids.
  select coalesce(max(w) + 1, 0), count(*) > 0 into out_before, out_open from async.open_writers() w;
end
$function$;
