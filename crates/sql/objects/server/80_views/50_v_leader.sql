-- Who leads, one row. While nobody does, engine and epoch are the last leader's, and the rest is null. quiet is how
-- long ago the leader last committed: an idle one still looks every idle_sleep.
create or replace view async.v_leader as
select
  s.pid is not null as leads,
  l.engine,
  l.epoch,
  s.pid,
  s.host,
  s.application,
  case when s.pid is not null then c.running_since end as since,
  s.quiet,
  c.enabled,
  c.paused,
  l.goodbye,
  l.server_id
from async.control c
left join async.leader l on true
left join async.leader_session() s on true;
