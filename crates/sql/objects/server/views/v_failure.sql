-- The tasks that failed or timed out in the last 24 hours, grouped by target, status, SQLSTATE and
-- the first line of the error, in which # stands for each number (async.error_group). The largest
-- group comes first. The cost grows with the tasks of that day, and not with the history.
create or replace view async.v_failure as
select
  t.target,
  t.finish_status,
  e.sqlstate,
  e.message,
  count(*) as tasks,
  min(t.processed) as first_failed,
  max(t.processed) as last_failed,
  max(t.task_id) as last_task_id
from async.task t
cross join lateral async.error_group(t.processing_error) e
where t.failed and t.finish_status <> 'CANCELED' and t.processed >= now() - interval '1 day'
group by t.target, t.finish_status, e.sqlstate, e.message
order by tasks desc, last_failed desc;
