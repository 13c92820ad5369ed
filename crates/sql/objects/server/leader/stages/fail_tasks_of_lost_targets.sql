-- Purpose: fails tasks that have waited for longer than target_patience for a target that was down
--   so long, with the error of the connection; and tasks of targets that were deleted. Tasks of
--   targets that only the Rust engine can reach wait for it.
-- Returns: the number of tasks.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.fail_tasks_of_lost_targets(in_now timestamptz)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_lane record;
  v_ids bigint[];
  v_failed int := 0;
begin
  for v_lane in
    select l.* from async.lanes_of_lost_targets(in_now) l
  loop
    v_ids := async.waiting_tasks(v_lane.pool, v_lane.target,
      case when v_lane.unknown then in_now else in_now - v_lane.target_patience end,
      async.tasks_backing_off(in_now));
    continue when v_ids is null;
    perform from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, case when v_lane.unknown then 'REQUEST' else 'GIVE_UP' end, in_now, 'FAILED',
        case when v_lane.unknown then format('target "%s" does not exist', v_lane.target)
          else format('target "%s" could not be reached for %s: %s', v_lane.target, v_lane.target_patience,
            v_lane.last_error) end, null, null, null, null, null, null)::async.event_t
      from unnest(v_ids) i));
    v_failed := v_failed + cardinality(v_ids);
  end loop;
  return v_failed;
end
$function$;
