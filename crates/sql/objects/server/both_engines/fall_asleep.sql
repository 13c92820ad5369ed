-- Purpose: lets pushes and requests notify the leader from now on. The leader polls in a later
--   statement, and again when the transactions have ended that may have found it awake.
-- Returns: the transaction id below which such transactions are, and whether one is open (see
--   async.writers_are_open); nulls when an election holds the lock, then the leader stays awake.
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
  -- A transaction that found the leader awake had its id before, so the id is below the end of this snapshot.
  select txid_snapshot_xmax(txid_current_snapshot()) into out_before;
  out_open := async.writers_are_open(out_before);
end
$function$;
