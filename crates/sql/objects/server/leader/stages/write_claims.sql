-- Purpose: writes claims down, and takes into memory what the rows became: the workers that hold
--   them, the pools' occupancy, how far each lane was taken. The arrays are parallel, in the order
--   of the plan; in_runs are the runs before. Nothing is sent before this is committed.
-- Returns: nothing.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_claims(
  in_now timestamptz, in_ids bigint[], in_workers int[], in_runs int[], in_pools text[], in_targets text[],
  in_priorities int[], in_entered timestamptz[], in_timeouts interval[]
) returns void
language plpgsql
as $function$
declare
  v_row record;
  v_claimed bigint[] := in_ids;
begin
  for v_row in select w.* from async.leader_write(in_now, in_ids, in_runs, in_timeouts, null, null, null) w loop
    -- A trigger may have made something else of a claim; only what runs now is launched.
    if (v_row.outcome = 'rewritten' and v_row.consumed is not null and v_row.processed is null and v_row.yielded is null
        and v_row.run = in_runs[array_position(in_ids, v_row.task_id)] + 1) is not true then
      v_claimed := array_remove(v_claimed, v_row.task_id);
    end if;
  end loop;

  update pg_temp.leader_worker s
  set state = 'claimed', task_id = c.task_id, run = c.run + 1, pool = c.pool, since = in_now
  from unnest(in_workers, in_ids, in_runs, in_pools) c(worker, task_id, run, pool)
  where s.worker = c.worker and c.task_id = any (v_claimed);
  update pg_temp.leader_pool p set taken = p.taken + n.claimed
  from (
    select c.pool, count(*)::int as claimed
    from unnest(in_ids, in_pools) c(task_id, pool)
    where c.task_id = any (v_claimed)
    group by c.pool
  ) n
  where p.pool = n.pool;
  -- Behind the last of the plan, written or not: a row that could not be written is backed off.
  update pg_temp.leader_lane l
  set after_priority = n.priority, after_entered = n.entered, after_id = n.task_id
  from (
    select distinct on (c.pool, c.target) c.pool, c.target, c.priority, c.entered, c.task_id
    from unnest(in_ids, in_pools, in_targets, in_priorities, in_entered)
      with ordinality c(task_id, pool, target, priority, entered, place)
    order by c.pool, c.target, c.place desc
  ) n
  where l.pool = n.pool and l.target = n.target and not l.pullable;
end
$function$;
