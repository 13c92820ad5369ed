-- Purpose: wakes a sleeping leader when this transaction commits. A leader holds an advisory lock
--   while it sleeps. The shared lock of this transaction keeps a leader from falling asleep before
--   it can see what this transaction wrote.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: a shared advisory lock, until the end of the transaction. It does not wait.
create or replace function async.wake_leader() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if not pg_try_advisory_xact_lock_shared(async.lock_class(), 2) then
    perform pg_notify('async_wake', '');
  end if;
end
$function$;
