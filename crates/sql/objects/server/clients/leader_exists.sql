-- Purpose: whether an orchestrator of either engine leads in this database now.
-- Returns: bool.
-- Raises: nothing. Locks: none.
create or replace function async.leader_exists() returns bool
language sql security definer
set search_path = pg_catalog, pg_temp
as $function$
  select exists (
    select
    from pg_locks l
    join pg_database d on d.oid = l.database
    where l.locktype = 'advisory' and l.granted
      and d.datname = current_database()
      and l.classid = async.lock_class()::oid and l.objid = 1 and l.objsubid = 2)
$function$;
