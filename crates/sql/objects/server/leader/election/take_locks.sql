-- Purpose: tries to take both locks of a leader, the fixed one and the one that advisory_mutex_id
--   names. Never waits.
-- Returns: true when this session holds both.
-- Raises: nothing.
-- Locks: the two advisory locks, for the session.
create or replace function async.take_locks()
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_mutex bigint := (select c.advisory_mutex_id from async.control c);
begin
  perform async.release_locks();
  if not pg_try_advisory_lock(async.lock_class(), 1) then
    return false;
  end if;
  if not pg_try_advisory_lock(v_mutex) then
    perform pg_advisory_unlock(async.lock_class(), 1);
    return false;
  end if;
  perform set_config('pgasync.mutex', v_mutex::text, false);
  return true;
end
$function$;
