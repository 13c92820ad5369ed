-- The backend that leads, and the advisory lock that it holds. Only the owner can read and lock the row. A candidate
-- locks it, so one candidate at a time decides whether there is a leader. Each election draws a new key, so no other
-- role can hold the lock before the leader does.
create table async.leader_lock (
  pid int not null,
  key bigint not null
);
insert into async.leader_lock (pid, key) values (0, 0);

-- Calls of async.configure wait for each other here. Only the owner can take the lock.
create table async.configuration_lock ();

-- This function has other arguments now.
drop function if exists async.watch_leader(int, int);
