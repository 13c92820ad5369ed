-- Purpose: tries to become the leader: with the row of async.leader_lock locked, finds no other
--   leader, and takes and records an advisory lock with a new key. Takes the lock of
--   advisory_mutex_id too, if it is free. That lock keeps this session from leading only when a
--   member of the owner holds it: any role may take it.
-- Returns: whether this session leads from the commit of this transaction on.
-- Raises: nothing.
-- Locks: the row of async.leader_lock, until the transaction ends; waits for it for one second at
--   most. The advisory locks, for the session; does not wait for them.
create or replace function async.take_locks()
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $function$
declare
  v_key bigint;
begin
  perform async.release_locks();
  begin
    perform from async.leader_lock for update;
  exception when lock_not_available then
    return false;
  end;
  if async.leader_pid() is not null or async.mutex_holder() is not null then
    return false;
  end if;
  loop
    v_key := async.random_key();
    exit when pg_try_advisory_lock(v_key);
  end loop;
  update async.leader_lock set pid = pg_backend_pid(), key = v_key;
  perform set_config('pgasync.mutex',
    case when pg_try_advisory_lock(c.advisory_mutex_id) then c.advisory_mutex_id::text else '' end, false)
  from async.control c;
  return true;
end
$function$;
