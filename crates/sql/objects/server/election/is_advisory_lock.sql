-- Purpose: whether a row of pg_locks is the exclusive advisory lock with this key in this database,
--   and is granted.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_advisory_lock(in_lock pg_locks, in_key bigint)
returns bool
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select in_lock.locktype = 'advisory' and in_lock.granted and in_lock.mode = 'ExclusiveLock'
    and in_lock.objsubid = 1
    and in_lock.classid::bigint << 32 | in_lock.objid::bigint = in_key
    and in_lock.database = (select d.oid from pg_database d where d.datname = current_database())
$function$;
