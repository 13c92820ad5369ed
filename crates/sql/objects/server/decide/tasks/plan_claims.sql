-- Purpose: chooses the tasks that run next. Reads the heads of the given lanes in the total order
--   (priority, entered, task_id) and takes each task whose pool has a free pool slot and, unless a
--   client pulls it, for which a worker is free and its target has a session or takes one more
--   (heads_max of its lanes, over all of them). Lanes with a full pool or a target that is down
--   are not given, so they block no other lane. Tasks of in_skip, which are in backoff, are
--   skipped. Of each lane, in_depth tasks are read and one more, which is not chosen.
-- Returns: the chosen tasks, in order, each with its place, from 1 on. And the first task of each lane
--   that was not chosen, with place 0 if it waits for a session only, -1 if it is the one more, so that
--   tasks behind it in the order must wait for a further look at its lane, and otherwise without a
--   place. A lane without such a task has no further tasks, except those of in_skip.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: one query and the loop over it.)
create or replace function async.plan_claims(
  in_lanes async.lane_t[],
  in_workers int,
  in_skip bigint[],
  in_now timestamptz,
  in_depth int
) returns table (
  place int, task_id bigint, run int, pool text, target text, pullable bool, priority int,
  entered timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
declare
  v_head record;
  v_pools text[] := '{}';
  v_free int[] := '{}';
  v_targets text[] := '{}';
  v_sessions int[] := '{}';
  v_workers int := in_workers;
  v_at int;
  v_target_at int;
  v_chosen int := 0;
  v_read int[] := array_fill(0, array[cardinality(in_lanes)]);
  v_closed bool[] := array_fill(false, array[cardinality(in_lanes)]);
begin
  for v_head in
    select l.lane, l.pool, l.target, l.pullable, l.free, l.heads_max, h.task_id, h.run, h.priority, h.entered
    from unnest(in_lanes) with ordinality
      as l(pool, target, pullable, after_priority, after_entered, after_id, free, heads_max, lane)
    cross join lateral (
      (select t.task_id, t.run, t.priority, t.entered
       from async.task t
       where not l.pullable
         and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
         and async.waits_for_launch(t)
         and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
         and (t.times_up is null or t.times_up > in_now)
         and t.task_id <> all (in_skip)
       order by t.priority, t.entered, t.task_id
       limit least(l.free, in_workers, l.heads_max, in_depth) + 1)
      union all
      (select t.task_id, t.run, t.priority, t.entered
       from async.task t
       where l.pullable
         and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
         and async.waits_for_offer(t)
         and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
         and (t.times_up is null or t.times_up > in_now)
         and t.task_id <> all (in_skip)
       order by t.priority, t.entered, t.task_id
       limit least(l.free, in_depth) + 1)
    ) h
    order by h.priority, h.entered, h.task_id
  loop
    continue when v_closed[v_head.lane];
    v_read[v_head.lane] := v_read[v_head.lane] + 1;
    place := null;
    v_at := array_position(v_pools, v_head.pool);
    if v_at is null then
      v_pools := v_pools || v_head.pool;
      v_free := v_free || v_head.free;
      v_at := cardinality(v_pools);
    end if;
    if v_head.heads_max is not null then
      v_target_at := array_position(v_targets, v_head.target);
      if v_target_at is null then
        v_targets := v_targets || v_head.target;
        v_sessions := v_sessions || v_head.heads_max;
        v_target_at := cardinality(v_targets);
      end if;
    end if;
    if v_free[v_at] > 0 and v_read[v_head.lane] <= in_depth
      and (v_head.pullable or v_workers > 0 and (v_head.heads_max is null or v_sessions[v_target_at] > 0)) then
      v_free[v_at] := v_free[v_at] - 1;
      if not v_head.pullable then
        v_workers := v_workers - 1;
        if v_head.heads_max is not null then
          v_sessions[v_target_at] := v_sessions[v_target_at] - 1;
        end if;
      end if;
      v_chosen := v_chosen + 1;
      place := v_chosen;
    else
      v_closed[v_head.lane] := true;
      place := case
        when v_free[v_at] <= 0 or v_workers < 1 and not v_head.pullable then null
        when v_head.heads_max is not null and not v_head.pullable and v_sessions[v_target_at] < 1 then 0
        when v_read[v_head.lane] > in_depth then -1 end;
    end if;
    task_id := v_head.task_id;
    run := v_head.run;
    pool := v_head.pool;
    target := v_head.target;
    pullable := v_head.pullable;
    priority := v_head.priority;
    entered := v_head.entered;
    return next;
  end loop;
end
$function$;
