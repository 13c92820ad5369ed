-- The tasks that were pushed and that ended in the last five seconds, the last minute and the last
-- hour. failed counts every end except FINISHED, so it includes canceled and timed_out. The cost
-- grows with the tasks of that hour, and not with the history.
create or replace view async.v_throughput as
select
  p.period,
  e.entered,
  d.ended,
  d.ended - d.failed as finished,
  d.failed,
  d.canceled,
  d.timed_out,
  (d.ended / extract(epoch from p.period))::float8 as ended_per_second
from (values (interval '5 seconds'), (interval '1 minute'), (interval '1 hour')) as p(period)
cross join lateral (
  select count(*) as entered from async.task t where t.entered >= now() - p.period
) e
cross join lateral (
  select
    count(*) as ended,
    count(*) filter (where t.failed) as failed,
    count(*) filter (where t.finish_status = 'CANCELED') as canceled,
    count(*) filter (where t.finish_status = 'TIMED_OUT') as timed_out
  from async.task t
  where t.processed >= now() - p.period
) d
order by p.period;
