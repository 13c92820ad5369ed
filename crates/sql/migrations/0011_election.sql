-- The backend that leads, and the advisory lock that it holds. Only the owner can read and lock the row. A candidate
-- locks it, so one candidate at a time decides whether there is a leader. Each election draws a new key, so no other
-- role can hold the lock before the leader does.
create table async.leader_lock (
  pid int not null,
  key bigint not null
);
-- A leader of the version before holds the lock of advisory_mutex_id, and leads until it ends.
insert into async.leader_lock (pid, key)
select
  coalesce((
    select l.pid
    from pg_catalog.pg_locks l
    where l.pid = c.pid and l.locktype = 'advisory' and l.granted and l.mode = 'ExclusiveLock' and l.objsubid = 1
      and l.classid::bigint << 32 | l.objid::bigint = c.advisory_mutex_id
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    limit 1), 0),
  c.advisory_mutex_id
from async.control c;

-- Calls of async.configure wait for each other here. Only the owner can take the lock.
create table async.configuration_lock ();

-- This function has other arguments now.
drop function if exists async.watch_leader(int, int);
