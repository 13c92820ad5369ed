-- Purpose: wake a leader that sleeps, once this transaction commits. A leader sleeps holding a
--   lock; having it shared until the commit keeps it from falling asleep before it could see what
--   was written here.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: an advisory lock, shared, until the end of the transaction. Never waits.
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
