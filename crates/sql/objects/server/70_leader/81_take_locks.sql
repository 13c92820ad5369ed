-- Purpose: tries to take both locks of a leader: the fixed one, and the one that advisory_mutex_id names. Never waits.
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

-- Purpose: gives up the leader's locks, however often this session holds them and whatever advisory_mutex_id was when
--   it took them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: releases the two advisory locks.
create or replace function async.release_locks()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_mutex bigint := nullif(current_setting('pgasync.mutex', true), '')::bigint;
begin
  if v_mutex is null then
    select c.advisory_mutex_id into v_mutex from async.control c;
  end if;
  while exists (
    select from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid()
      and l.classid = async.lock_class()::oid and l.objid = 1 and l.objsubid = 2)
  loop
    perform pg_advisory_unlock(async.lock_class(), 1);
    perform pg_advisory_unlock(v_mutex);
  end loop;
end
$function$;

-- Purpose: the backend that leads in this database.
-- Returns: its pid, null when no orchestrator leads.
-- Raises: nothing.
-- Locks: none.
create or replace function async.leader_pid()
returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select l.pid from pg_locks l
    where l.locktype = 'advisory' and l.granted and l.classid = async.lock_class()::oid and l.objid = 1
      and l.objsubid = 2
      and l.database = (select d.oid from pg_database d where d.datname = current_database()));
end
$function$;

-- Purpose: what a main() that ends without having led leaves: neither locks nor connections.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: releases the two advisory locks.
create or replace function async.abandon_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  begin
    perform async.close_stale_sessions();
  exception when query_canceled or assert_failure or others then
    null;
  end;
  perform async.release_locks();
end
$function$;
