-- Purpose: runs in the watchdog session: looks whether the leader has released the advisory lock
--   in_key after its connection attempt, and cancels the attempt when that takes too long. It does
--   not wait for the lock, which another role could take first.
-- Returns: 'made' or 'cancelled'.
-- Raises: nothing.
-- Locks: none.
create or replace function async.watch_leader(in_pid int, in_key bigint, in_ms_max int)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_look_seconds_max constant float := 0.005;
  v_until constant timestamptz := clock_timestamp() + in_ms_max * interval '1 millisecond';
  v_look_seconds float := 0.0005;
begin
  while exists (select from pg_locks l where l.pid = in_pid and async.is_advisory_lock(l, in_key)) loop
    if clock_timestamp() >= v_until then
      perform pg_cancel_backend(in_pid);
      return 'cancelled';
    end if;
    perform pg_sleep(v_look_seconds);
    v_look_seconds := least(v_look_seconds * 1.5, c_look_seconds_max);
  end loop;
  return 'made';
end
$function$;
