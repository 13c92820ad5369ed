-- Purpose: runs in the watchdog session: waits until the leader releases an advisory lock after its
--   connection attempt, and cancels the attempt when that takes too long.
-- Returns: 'made' or 'cancelled'.
-- Raises: nothing.
-- Locks: the watchdog's advisory lock, for a moment.
create or replace function async.watch_leader(in_pid int, in_ms_max int)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('lock_timeout', in_ms_max || 'ms', true);
  perform pg_advisory_lock_shared(async.lock_class(), 3);
  perform pg_advisory_unlock_shared(async.lock_class(), 3);
  return 'made';
exception when lock_not_available then
  perform pg_cancel_backend(in_pid);
  return 'cancelled';
end
$function$;
