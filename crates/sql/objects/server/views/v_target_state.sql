-- Every target and its state: ok; lost (unreachable: since when, the last error, the time of the
-- next attempt, and the time when waiting tasks begin to fail, null if they do not); fencing (sessions of a lost
-- orchestrator are being ended); paused (no task starts); retired (refuses new tasks); unknown (no orchestrator leads).
create or replace view async.v_target_state as
select
  t.target,
  case
    when not s.leads then 'unknown'
    when o.target is not null then 'lost'
    when f.target is not null then 'fencing'
    when t.paused then 'paused'
    when t.retired then 'retired'
    else 'ok'
  end as state,
  case when s.leads then o.since end as since,
  case when s.leads then o.error end as error,
  case when s.leads then o.retry_at end as retry_at,
  case
    -- Tasks wait for the Rust engine, which resolves the reference.
    when s.leads and not t.paused and not (l.engine = 'sql' and async.references_secret(t.connection_string))
      then o.since + c.target_patience
  end as patience_ends,
  coalesce(w.running, 0) as running,
  t.retired,
  t.paused
from async.target t
-- The planner does not know that the table has one row, since it is never analyzed.
cross join (select r.target_patience from async.control r limit 1) c
cross join (select async.leader_exists() as leads) s
cross join (select e.engine from async.leader e limit 1) l
left join async.target_outage o on o.target = t.target
left join (
  select distinct e.target
  from async.session e
  where e.epoch < (select l.epoch from async.leader l limit 1)
) f on f.target = t.target
left join (
  select k.target, count(*) as running from async.worker k where k.task_id is not null group by k.target
) w on w.target = t.target
order by t.target;
