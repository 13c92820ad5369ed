-- Purpose: handles overdue tasks: a running query gets an intention; a task whose target cannot be
--   reached is TIMED_OUT and keeps its pool slot; any other task ends at once, unless there is a
--   request about it. The stage before has read the requests, at most 1000 at a time: one that it
--   has left may be older than the deadline.
-- Returns: the number of tasks that ended.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.enforce_deadlines(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_due bigint[];
  v_events async.event_t[];
  v_row record;
  v_refused bigint[] := '{}';
  v_ids bigint[];
begin
  v_due := async.due_tasks(in_now, async.tasks_backing_off(in_now));
  if v_due is null then
    return 0;
  end if;

  perform async.set_intention(s.worker, in_now, 'TIMED_OUT', null, null, null)
  from pg_temp.leader_worker s
  where s.task_id = any (v_due) and s.state in ('running', 'lost') and s.intention is null;
  -- The request stays, but the grace period of the query is over.
  update pg_temp.leader_worker s
  set cancel_at = in_now
  where s.task_id = any (v_due) and s.state = 'running' and s.cancels = 0 and s.cancel_at > in_now;

  v_events := array(
    select case
      when s.worker is not null then row(i.task_id, s.run, 'UNREACHABLE', in_now, null,
        case s.intention when 'TIMED_OUT' then s.intention_error end, s.error, null, null, s.request_ids,
        null, case s.intention when 'TIMED_OUT' then s.intention_by end)::async.event_t
      when o.task_id is not null then row(i.task_id, o.run, 'UNREACHABLE', in_now, null, null,
        'outcome unknown: the orchestrator was lost while the query ran', null, null, null, null, null)::async.event_t
      else row(i.task_id, null, 'DEADLINE', in_now, null, null, null, null, null, null, null, null)::async.event_t
    end
    from unnest(v_due) i(task_id)
    left join pg_temp.leader_worker s on s.task_id = i.task_id
    left join pg_temp.leader_orphan o on o.task_id = i.task_id
    left join pg_temp.leader_target t on t.target = coalesce(s.target, o.target)
    -- The receipt of a lost run says how its task ends.
    where (s.worker is null and o.task_id is null
        or not exists (select from async.task k where k.task_id = i.task_id and k.receipt)) and (
      s.worker is null and o.task_id is null
        and not exists (select from async.request r where r.task_id = i.task_id)
      or s.state = 'lost' and not s.recorded and (s.unreachable or t.health is distinct from 'ok')
      or o.launched and not o.recorded and (t.health is distinct from 'ok'
        or exists (select from pg_temp.leader_fence f where f.target = o.target and f.unreachable))));
  if v_events = '{}' then
    return 0;
  end if;
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if v_row.processed is null or v_row.outcome <> 'rewritten' then
      v_refused := v_refused || v_row.task_id;
    end if;
  end loop;
  v_ids := array(
    select e.task_id from unnest(v_events) e where e.event = 'UNREACHABLE' and e.task_id <> all (v_refused));
  if v_ids <> '{}' then
    update pg_temp.leader_worker s set recorded = true where s.task_id = any (v_ids) and s.state = 'lost';
    update pg_temp.leader_orphan o set recorded = true where o.task_id = any (v_ids);
  end if;
  return cardinality(v_events) - cardinality(v_refused);
end
$function$;
