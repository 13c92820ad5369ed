-- Purpose: the pid of the backend that leads in this database: the one that the last election
--   recorded, as long as it holds the lock whose key that election drew, and its role is a member of
--   the owner. The session of another role may get the pid of a leader that crashed, and take the
--   lock.
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
    select k.pid
    from async.leader_lock k
    join pg_locks l on l.pid = k.pid and async.is_advisory_lock(l, k.key)
    cross join pg_stat_get_activity(k.pid) a
    where pg_has_role(a.usesysid, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage')
    limit 1);
end
$function$;
