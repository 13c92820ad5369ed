-- The schedules. Their queries, task_data and refusals are shown to their owners, the owner of the schema
-- and administrators.
create or replace view async.v_schedule as
select
  s.schedule,
  s."when",
  s.time_zone,
  s.target,
  case when s.is_shown then s.query end as query,
  s.owner::text as owner,
  s.configured,
  s.paused,
  s.overlap,
  s.catch_up,
  case when not s.paused then s.next_time end as next_time,
  s.last_fired,
  s.last_task_id,
  coalesce(t.finish_status::text, async.task_execution_state(t)::text) as last_status,
  (select count(*) from async.schedule_wait w where w.schedule = s.schedule) as waiting,
  s.last_skipped,
  s.last_refused,
  case when s.is_shown then s.last_refusal end as last_refusal,
  s.priority,
  s.concurrency_pool,
  s.timeout,
  case when s.is_shown then s.task_data end as task_data,
  s.track_yielded,
  s.source,
  s.retry,
  s.expires_after
from (
  select h.*,
    exists (select from pg_catalog.pg_roles r where r.oid = h.owner and pg_has_role(r.oid, 'usage'))
    or exists (select from pg_catalog.pg_namespace n where n.nspname = 'async' and pg_has_role(n.nspowner, 'usage'))
    or exists (select from async.role_grant g where g.level = 'admin' and pg_has_role(g.grantee::oid, 'usage')) as is_shown
  from async.schedule h
) s
left join async.task t on t.task_id = s.last_task_id
order by s.schedule;
