-- Purpose: the lanes of which the leader may claim or offer a task now, at most in_max of them, in the
--   order of their positions: those with a free pool slot, whose pool may start a task now, and whose
--   target can run it. Paused pools and targets have none. in_pools has the
--   pools of the tasks that were chosen in this cycle already, and the other arguments are those of
--   async.claimable_targets. The cost grows with the lanes that are read: the returned ones, and those
--   before them whose pool is full or whose target runs nothing.
-- Returns: the lanes, each with its free pool slots and the number of tasks that its target takes;
--   their targets with the default timeouts; and the position of the next lane: the tasks of all lanes
--   that are left out for in_max are behind it (null: none is left out).
-- Raises: nothing.
-- Locks: none.
create or replace function async.claimable_lanes(
  in_now timestamptz, in_workers int, in_max int, in_pools text[], in_targets text[], in_closed text[],
  in_strict bool, in_first bool,
  out lanes async.lane_t[], out targets text[], out timeouts interval[],
  out next_priority int, out next_entered timestamptz, out next_id bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
-- The lanes are read in the order of their index until enough are found, and the pool of each one is
-- looked up: a sort, a hash or a merge join would read all of them.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_targets record;
begin
  v_targets := async.claimable_targets(in_now, in_workers, in_targets, in_closed, in_strict, in_first);
  select
    array_agg(row(n.pool, n.target, n.pullable, n.after_priority, n.after_entered, n.after_id, n.free,
      v_targets.heads_max[n.target_at])::async.lane_t) filter (where n.place <= in_max),
    array_agg(n.target) filter (where n.place <= in_max),
    array_agg(v_targets.timeouts[n.target_at]) filter (where n.place <= in_max),
    max(n.after_priority) filter (where n.place > in_max),
    max(n.after_entered) filter (where n.place > in_max),
    max(n.after_id) filter (where n.place > in_max)
  into lanes, targets, timeouts, next_priority, next_entered, next_id
  from (
    select c.*, row_number() over () as place, array_position(v_targets.targets, c.target) as target_at
    from (
      select l.pool, l.target, l.pullable, l.after_priority, l.after_entered, l.after_id,
        case when p.spacing is null then p.max_workers - p.taken - cardinality(array_positions(in_pools, l.pool))
          else 1 end as free
      from pg_temp.leader_lane l
      join pg_temp.leader_pool p on p.pool = l.pool
      where not l.exhausted and not p.paused
        and l.target = any (case when l.pullable then v_targets.targets else v_targets.running end)
        and (not l.pullable or p.offers_held_until <= in_now)
        and p.taken + cardinality(array_positions(in_pools, l.pool)) < p.max_workers
        -- A pool that limits its starts has one task on its way to its start.
        and (p.spacing is null
          or p.started_at + p.spacing <= in_now and l.pool <> all (in_pools)
            and not exists (select from pg_temp.leader_worker s where s.pool = l.pool and s.state = 'claimed')
            -- An offer that a client took is noted first (async.yield_offers), with the time of the start.
            and not p.offered
            and not exists (select from async.offer o where o.pool = l.pool))
      order by l.after_priority, l.after_entered, l.after_id
      limit in_max + 1
    ) c
  ) n;
end
$function$;
