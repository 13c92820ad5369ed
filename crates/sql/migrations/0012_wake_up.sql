-- Whether the leader sleeps: 1 while pushes and requests notify it, 0 while it polls. A sequence,
-- because its value is read and written outside of transactions: it leaves no old versions behind,
-- and no other role can lock it. It begins with 1: an orchestrator of an earlier version that leads
-- meanwhile listens too.
create sequence async.leader_sleep minvalue 0 maxvalue 1 start 1;

-- This function has other arguments now.
drop function if exists async.await_work(timestamptz);
