-- The leader, in one row. While no orchestrator leads, engine and epoch are those of the last
-- leader, and pid, host, application, since and quiet are null. quiet is the time since the last
-- commit: an idle leader commits every idle_sleep. standbys counts the sessions of pgasync run that
-- wait for the lead. After the loss of a Rust engine they wait for takeover_grace.
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
  l.server_id,
  async.standby_sessions() as standbys,
  case when s.pid is null and not l.goodbye and l.engine <> 'sql' then c.takeover_grace end as takeover_grace
-- The planner does not know that these tables have one row each, since they are never analyzed.
from (select r.* from async.control r limit 1) c
left join (select r.* from async.leader r limit 1) l on true
left join (select r.* from async.leader_session() r limit 1) s on true;
