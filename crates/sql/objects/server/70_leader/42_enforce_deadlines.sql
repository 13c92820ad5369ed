-- Purpose: tasks whose time is up: a running query gets an intention; where its target cannot be reached the task is
--   TIMED_OUT and its slot stays taken; any other task ends at once.
-- Returns: how many.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.enforce_deadlines(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_due bigint[];
  v_ids bigint[];
  v_events async.task_event_t[];
  v_applied bigint[];
begin
  v_due := async.due_tasks(in_now);
  if v_due is null then
    return 0;
  end if;

  perform async.intend(s.slot, in_now, 'TIMED_OUT', null, null)
  from pg_temp.leader_slot s
  where s.task_id = any (v_due) and s.state in ('running', 'lost') and s.intention is null;
  -- What somebody asked for stands, but the query's time to end by itself is over.
  update pg_temp.leader_slot s
  set cancel_at = in_now
  where s.task_id = any (v_due) and s.state = 'running' and s.cancels = 0 and s.cancel_at > in_now;

  perform async.withdraw_offers(v_due);
  select array_agg(d.task_id), array_agg(d.event)
  into v_ids, v_events
  from (
    select i.task_id,
      case when s.slot is not null or o.task_id is not null then 'UNREACHABLE' else 'DEADLINE' end::async.task_event_t
        as event
    from unnest(v_due) i(task_id)
    left join pg_temp.leader_slot s on s.task_id = i.task_id
    left join pg_temp.leader_orphan o on o.task_id = i.task_id
    left join pg_temp.leader_target t on t.target = coalesce(s.target, o.target)
    where s.slot is null and o.task_id is null
      or s.state = 'lost' and not s.recorded and (s.unreachable or t.health is distinct from 'ok')
      or not o.recorded and (t.health is distinct from 'ok'
        or exists (select from pg_temp.leader_fence f where f.target = o.target and f.unreachable))
  ) d;
  if v_ids is null then
    return 0;
  end if;
  select array_agg(a.task_id) into v_applied
  from async.apply_events(in_now, v_ids, null, v_events, null, null, null, null) a
  where not async.park(a.task_id, a.outcome, a.error, in_now);
  update pg_temp.leader_slot s set recorded = true where s.task_id = any (v_applied) and s.state = 'lost';
  update pg_temp.leader_orphan o set recorded = true where o.task_id = any (v_applied);
  return cardinality(v_ids);
end
$function$;
