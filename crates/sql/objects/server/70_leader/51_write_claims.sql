-- Purpose: writes claims down, and takes into memory what the rows became: the slots that hold them, the pools'
--   occupancy, how far each lane was taken. The arrays are parallel, in the order of the plan; in_runs are the runs
--   that begin. Nothing is sent before this is committed.
-- Returns: nothing.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_claims(
  in_now timestamptz, in_ids bigint[], in_slots int[], in_runs int[], in_pools text[], in_targets text[],
  in_priorities int[], in_entered timestamptz[], in_timeouts interval[]
) returns void
language plpgsql
as $function$
declare
  v_claimed bigint[];
begin
  select array_agg(a.task_id) into v_claimed
  from async.apply_events(
    in_now, in_ids, null, array_fill('CLAIM'::async.task_event_t, array[cardinality(in_ids)]),
    null, null, null, in_timeouts) a
  -- Never null, so false. (Postgres does not even call what stands before `and false`.)
  where case when a.outcome = 'applied' then true
    else async.park(a.task_id, a.outcome, a.error, in_now) is null end;
  -- A trigger may have made something else of a claim; only what runs now is launched.
  if async.has_user_triggers() then
    v_claimed := array(
      select c.task_id from async.claimed_rows(v_claimed) c
      where c.run = in_runs[array_position(in_ids, c.task_id)]);
  end if;

  update pg_temp.leader_slot s
  set state = 'claimed', task_id = c.task_id, run = c.run, pool = c.pool, since = in_now
  from unnest(in_slots, in_ids, in_runs, in_pools) c(slot, task_id, run, pool)
  where s.slot = c.slot and c.task_id = any (v_claimed);
  update pg_temp.leader_pool p set taken = p.taken + n.claimed
  from (
    select c.pool, count(*)::int as claimed
    from unnest(in_ids, in_pools) c(task_id, pool)
    where c.task_id = any (v_claimed)
    group by c.pool
  ) n
  where p.pool = n.pool;
  -- Behind the last of the plan, written or not: who could not be written is parked.
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

-- Purpose: those of the given tasks that run now.
-- Returns: their ids, runs and places in the queue.
-- Raises: nothing.
-- Locks: none.
create or replace function async.claimed_rows(in_ids bigint[])
returns table (task_id bigint, run int, pool text, target text, priority int, entered timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select t.task_id, t.run, coalesce(t.concurrency_pool, t.target), t.target, t.priority, t.entered
  from async.task t
  where t.task_id = any (in_ids)
    and t.processed is null and t.yielded is null and t.consumed is not null and t.query is not null;
end
$function$;
