-- Purpose: wakes a sleeping leader when this transaction commits. The caller has written what the
--   leader is to see, so the transaction has an id before it reads async.leader_sleep, which is not
--   transactional. If it reads that the leader polls, it either is open when the leader falls
--   asleep, and async.writers_are_open finds it, or the poll after that sees what it wrote.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: async.leader_sleep in access share mode, until the end of the transaction. It does not
--   wait: only the owner can lock a sequence.
create or replace function async.wake_leader() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if (select s.last_value = 1 from async.leader_sleep s) then
    perform pg_notify('async_wake', '');
  end if;
end
$function$;
