-- The tasks that were pushed and that ended in the last minute and in the last hour. failed counts
-- every end except FINISHED, so it includes canceled and timed_out. The cost grows with the tasks
-- of that hour, and not with the history.
create or replace view async.v_throughput as
select
  p.period,
  case when p.is_minute then e.entered_1m else e.entered end as entered,
  case when p.is_minute then d.ended_1m else d.ended end as ended,
  case when p.is_minute then d.ended_1m - d.failed_1m else d.ended - d.failed end as finished,
  case when p.is_minute then d.failed_1m else d.failed end as failed,
  case when p.is_minute then d.canceled_1m else d.canceled end as canceled,
  case when p.is_minute then d.timed_out_1m else d.timed_out end as timed_out,
  (case when p.is_minute then d.ended_1m else d.ended end / extract(epoch from p.period))::float8 as ended_per_second
from (values (interval '1 minute', true), (interval '1 hour', false)) as p(period, is_minute)
cross join (
  select count(*) as entered, count(*) filter (where t.entered >= now() - interval '1 minute') as entered_1m
  from async.task t
  where t.entered >= now() - interval '1 hour'
) e
cross join (
  select
    count(*) as ended,
    count(*) filter (where t.failed) as failed,
    count(*) filter (where t.finish_status = 'CANCELED') as canceled,
    count(*) filter (where t.finish_status = 'TIMED_OUT') as timed_out,
    count(*) filter (where t.processed >= now() - interval '1 minute') as ended_1m,
    count(*) filter (where t.failed and t.processed >= now() - interval '1 minute') as failed_1m,
    count(*) filter (where t.finish_status = 'CANCELED' and t.processed >= now() - interval '1 minute') as canceled_1m,
    count(*) filter (where t.finish_status = 'TIMED_OUT' and t.processed >= now() - interval '1 minute') as timed_out_1m
  from async.task t
  where t.processed >= now() - interval '1 hour'
) d
order by p.period;
