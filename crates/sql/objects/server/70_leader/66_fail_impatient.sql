-- Purpose: tasks that waited for a target that was down for longer than target_patience fail with the connection's
--   error; so do tasks of targets that were deleted.
-- Returns: how many.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.fail_impatient(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_lane record;
  v_ids bigint[];
  v_failed int := 0;
begin
  for v_lane in
    -- A target that was configured a moment ago is not in the leader's memory yet.
    select l.pool, l.target, g.target is null as unknown, t.last_error, c.target_patience
    from pg_temp.leader_lane l
    cross join async.control c
    left join async.target g on g.target = l.target
    left join pg_temp.leader_target t on t.target = l.target
    where not l.exhausted and not l.pullable
      and (g.target is null
        or t.down_since <= in_now - c.target_patience
          and not exists (select from pg_temp.leader_slot s
            where s.target = l.target and s.state in ('idle', 'claimed', 'running', 'ended', 'cleaning')))
  loop
    v_ids := async.waiting_tasks(v_lane.pool, v_lane.target,
      case when v_lane.unknown then in_now else in_now - v_lane.target_patience end,
      async.parked_tasks(in_now));
    continue when v_ids is null;
    perform from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, 'REQUEST', in_now, 'FAILED',
        case when v_lane.unknown then format('target "%s" does not exist', v_lane.target)
          else format('target "%s" could not be reached for %s: %s', v_lane.target, v_lane.target_patience,
            v_lane.last_error) end, null, null, null, null)::async.event_t
      from unnest(v_ids) i));
    v_failed := v_failed + cardinality(v_ids);
  end loop;
  return v_failed;
end
$function$;

-- Purpose: waiting tasks of a lane that entered before a time, the oldest entries of the queue first.
-- Returns: their ids, at most 1000, null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.waiting_tasks(
  in_pool text, in_target text, in_before timestamptz, in_skip bigint[]
) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return (
    select array_agg(w.task_id)
    from (
      select t.task_id from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and t.consumed is null and t.processed is null and t.yielded is null
        and t.eligible_when is null and t.query is not null
        and t.entered <= in_before and t.task_id <> all (in_skip)
      order by t.priority, t.entered, t.task_id
      limit 1000
    ) w);
end
$function$;
