-- Purpose: pushes the task of a schedule at a target for one of its times, for the role that owns the
--   schedule. With in_defer (see async.defer_constraints) deferred constraints are checked now.
-- Returns: the id of the task; null if a trigger kept the row out.
-- Raises: as async.push_tasks, and the errors of triggers and constraints.
-- Locks: those of triggers. (The search path is control.trigger_search_path, which user triggers
--   inherit: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.push_scheduled(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_target text, in_time timestamptz, in_defer text
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_id bigint;
begin
  insert into async.task (target, priority, entered, source, query, asynchronous_finish, task_data, concurrency_pool,
    manual_timeout, track_yielded, pushed_by, may_reach_self, expires_at, times_up, retry, attempt, receipt,
    schedule, scheduled_for)
  select p.out_target, p.out_priority, p.out_entered, in_schedule.source, p.out_query, p.out_asynchronous_finish,
    p.out_task_data, p.out_concurrency_pool, p.out_manual_timeout, p.out_track_yielded, in_owner, p.out_may_reach_self,
    p.out_entered operator(pg_catalog.+) in_schedule.expires_after,
    p.out_entered operator(pg_catalog.+) in_schedule.expires_after,
    case when in_schedule.receipt then async.receipt_policy(p.out_retry) else p.out_retry end,
    case when p.out_retry is not null or in_schedule.receipt then 0 end,
    case when in_schedule.receipt then async.check_receipt_target('', p.out_target) end,
    in_schedule.schedule, in_time
  from async.prepare_push(in_owner, in_scope, array[row(in_schedule.task_data, in_target, in_schedule.priority,
    in_schedule.query, in_schedule.concurrency_pool, in_schedule.timeout, in_schedule.track_yielded)::async.task_push_t],
    'EXECUTE', array[in_schedule.retry]) p
  returning task_id into v_id;
  perform async.check_constraints(in_defer);
  return v_id;
end
$function$;
