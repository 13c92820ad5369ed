-- The tasks that failed or timed out in the last 24 hours, grouped by target, status, SQLSTATE and
-- the first line of the error, in which N stands for each number. The largest group comes first. The
-- cost grows with the tasks of that day, and not with the history.
create or replace view async.v_failure as
select
  t.target,
  t.finish_status,
  e.code as sqlstate,
  e.message,
  count(*) as tasks,
  min(t.processed) as first_failed,
  max(t.processed) as last_failed,
  max(t.task_id) as last_task_id
from async.task t
cross join lateral (
  select
    substring(t.processing_error from '^([0-9A-Z]{5}): ') as code,
    split_part(left(t.processing_error, 300), E'\n', 1) as line
) l
cross join lateral (
  select l.code, regexp_replace(case when l.code is null then l.line else substr(l.line, 8) end, '[0-9]+', 'N', 'g')
    as message
) e
where t.failed and t.finish_status <> 'CANCELED' and t.processed >= now() - interval '1 day'
group by t.target, t.finish_status, e.code, e.message
order by tasks desc, last_failed desc;
