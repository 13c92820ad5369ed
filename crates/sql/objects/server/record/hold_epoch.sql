-- Purpose: the first statement of every write transaction of a leader: holds the epoch until the
--   transaction ends. What raises the epoch (async.raise_epoch) waits for such transactions, and
--   takes stock after them; so a leader that lost the lead without noticing writes nothing.
-- Returns: nothing.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader in row exclusive mode, which no role but the owner can take; as long as
--   lock_timeout.
create or replace function async.hold_epoch(in_epoch bigint)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  lock table async.leader in row exclusive mode;
  -- A statement of its own, with a snapshot from after the lock was granted.
  if in_epoch is distinct from (select l.epoch from async.leader l) then
    raise exception 'another orchestrator has taken the lead'
      using errcode = 'PA212', hint = 'This one writes nothing more and ends';
  end if;
end
$function$;
