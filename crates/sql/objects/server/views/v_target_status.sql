-- The load of each target. The misspelt names are those of the original library.
create or replace view async.v_target_status as
select
  t.target,
  coalesce(e.day, 0) as tasks_entered_24h,
  coalesce(e.hour, 0) as tasks_entered_1h,
  coalesce(e.minute, 0) as tasks_entered_1m,
  coalesce(u.pending, 0) as tasks_pending,
  coalesce(u.running, 0) as tasks_running,
  coalesce(u.yielded, 0) as tasks_yielded,
  coalesce(p.workers, 0) as concurency_assigned_workers,
  coalesce(u.elsewhere, 0) as concurrency_external_pool,
  async.pool_limit(t.target) as concurency_max_workers
from async.target t
left join (
  select
    r.target,
    count(*) as day,
    count(*) filter (where r.entered >= now() - interval '1 hour') as hour,
    count(*) filter (where r.entered >= now() - interval '1 minute') as minute
  from async.task r
  where r.entered >= now() - interval '1 day'
  group by r.target
) e on e.target = t.target
left join (
  select
    r.target,
    count(*) filter (where r.yielded is null and r.consumed is null) as pending,
    count(*) filter (where r.yielded is null and r.consumed is not null) as running,
    count(*) filter (where r.yielded is not null) as yielded,
    count(*) filter (where r.consumed is not null and r.concurrency_pool is distinct from r.target) as elsewhere
  from async.v_unfinished_task r
  group by r.target
) u on u.target = t.target
left join async.concurrency_pool_tracker p on p.concurrency_pool = t.target
order by t.target;
