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
  v_held int;
  v_mutex bigint := (select c.advisory_mutex_id from async.control c);
begin
  if not exists (
    select from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid()
      and l.classid = async.lock_class()::oid and l.objid = 1 and l.objsubid = 2) then
    return;
  end if;
  perform pg_advisory_unlock(async.lock_class(), 1);
  perform pg_advisory_unlock(coalesce(nullif(current_setting('pgasync.mutex', true), '')::bigint, v_mutex));
end
$function$;

-- Purpose: the backend that leads in this database.
-- Returns: its pid, null when nobody leads.
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
