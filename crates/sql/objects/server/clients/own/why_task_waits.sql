-- Purpose: why a READY task of a client waits, for the role that read in_ticket from async.caller: as
--   async.v_why_waiting says it, without the error of its target, and without what concerns the tasks of
--   others.
-- Returns: text; null for a task that does not wait, or that another role pushed.
-- Raises: insufficient_privilege for a ticket that is not that of the caller.
-- Locks: none.
create or replace function async.why_task_waits(in_caller name, in_ticket bytea, in_task_id bigint) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_pool text;
  v_task async.task;
  v_target record;
  v_server record;
  v_slots int;
begin
  perform async.scope_of(in_caller, in_ticket, null);
  select t.* into v_task from async.task t where t.task_id = in_task_id;
  if v_task.task_id is null or v_task.processed is not null or v_task.consumed is not null
    or v_task.yielded is not null or async.is_pushed_by(v_task.pushed_by, async.roles_of(in_caller), async.ambiguous_roles()) is not true
  then
    return null;
  end if;
  v_pool := coalesce(v_task.concurrency_pool, v_task.target);
  select c.enabled, c.paused, c.workers, async.active_workers() as busy, async.leader_exists() as leads into v_server
  from async.control c;
  select s.state, s.since, s.paused, s.patience_ends into v_target
  from async.v_target_state s where s.target = v_task.target;
  select coalesce(k.workers, 0) into v_slots
  from async.concurrency_pool_tracker k where k.concurrency_pool = v_pool;
  return case
    when not v_server.leads and not v_server.enabled then 'no orchestrator leads, and it is disabled'
    when not v_server.leads and async.standby_sessions() > 0 then 'no orchestrator leads: a standby takes over'
    when not v_server.leads then 'no orchestrator leads'
    when not v_server.enabled then 'the orchestrator is stopping'
    when v_task.eligible_when > now() and v_task.attempt > 0
      then format('waits for attempt %s of %s at %s', v_task.attempt + 1, v_task.retry ->> 'max_attempts',
        date_trunc('second', v_task.eligible_when))
    when v_task.eligible_when > now() then format('deferred: it comes back at %s', date_trunc('second', v_task.eligible_when))
    when v_server.paused then 'no new starts: the orchestrator is paused'
    when v_target.paused then format('target %s is paused', v_task.target)
    when async.is_paused(v_pool, null) then format('pool %s is paused', v_pool)
    when v_task.eligible_when is not null then 'the deferral is over: it is about to join the queue'
    when v_task.query is null and v_task.tracked
      then format('offered: waits for a client to call async.get_tasks(%L)', v_task.target)
    when v_target.state is null then 'there is no such target any more: its tasks are about to fail'
    when v_task.query is not null and v_target.state = 'lost' and v_target.patience_ends is null
      then format('the target is lost since %s', date_trunc('second', v_target.since))
    when v_task.query is not null and v_target.state = 'lost'
      then format('the target is lost since %s; tasks that waited until %s fail', date_trunc('second', v_target.since),
        date_trunc('second', v_target.patience_ends))
    when v_task.query is not null and v_target.state = 'fencing'
      then 'sessions of a lost orchestrator are being ended at the target'
    when async.pool_limit(v_pool) <= 0 then 'its pool may hold no task: the limit is 0'
    when v_slots >= async.pool_limit(v_pool) then format('its pool is full: %s of %s', v_slots, async.pool_limit(v_pool))
    when v_task.query is not null and v_server.busy >= v_server.workers
      then format('all %s workers are busy', v_server.workers)
    when v_task.entered > clock_timestamp() - interval '5 seconds' then 'it is about to start'
    else 'its turn comes as others end'
  end;
end
$function$;
