-- Purpose: the pid of the backend that leads in this database.
-- Returns: the pid; null when no orchestrator leads.
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
