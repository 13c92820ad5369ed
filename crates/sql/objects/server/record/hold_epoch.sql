-- Purpose: the first statement of every write transaction of a leader: holds the epoch until the
--   transaction ends. An election (async.raise_epoch) waits for such transactions and takes stock
--   after them, so a leader that lost the lead unnoticed writes nothing.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader in row exclusive mode, which only the owner can take; waits up to
--   lock_timeout.
create or replace function async.hold_epoch(in_epoch bigint)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  lock table async.leader in row exclusive mode;
  -- A separate statement, whose snapshot is taken after the lock was granted.
  if in_epoch is distinct from (select l.epoch from async.leader l) then
    raise exception 'another orchestrator has taken the lead'
      using errcode = 'PA212', hint = 'This one writes nothing more and ends';
  end if;
end
$function$;
