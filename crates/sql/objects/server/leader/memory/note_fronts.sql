-- Purpose: notes that lanes have waiting tasks behind the given positions: lanes that are not in the
--   memory of the leader are added, with their pools, and a position that lies before the known one
--   replaces it. A known position before the given one stays.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_fronts(in_fronts async.lane_t[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  -- Only what changes: "do update" with a condition would lock the other rows, which takes a
  -- transaction id.
  insert into pg_temp.leader_lane as l (pool, target, pullable, after_priority, after_entered, after_id)
  select distinct on (f.pool, f.target, f.pullable)
    f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id
  from unnest(in_fronts) f
  left join pg_temp.leader_lane o on o.pool = f.pool and o.target = f.target and o.pullable = f.pullable
  where o.pool is null or o.exhausted
    or (f.after_priority, f.after_entered, f.after_id) < (o.after_priority, o.after_entered, o.after_id)
  order by f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id
  on conflict (pool, target, pullable) do update
  set after_priority = excluded.after_priority, after_entered = excluded.after_entered, after_id = excluded.after_id,
      exhausted = false;
  if found then
    insert into pg_temp.leader_pool (pool, max_workers, spacing, started_at, paused)
    select n.pool, async.pool_limit(n.pool), async.pool_spacing(n.pool), s.led_since, async.is_paused(n.pool, null)
    from (select distinct f.pool from unnest(in_fronts) f) n
    cross join pg_temp.leader_state s
    left join pg_temp.leader_pool p on p.pool = n.pool
    where p.pool is null;
  end if;
end
$function$;
