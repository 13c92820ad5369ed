-- Purpose: notes what a read of lanes has found: in_left has waiting tasks that were not claimed, as
--   positions before them. The position of a lane becomes the one before the first of them. A lane
--   without such a task is exhausted: it has no waiting tasks, except those in backoff.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_bounds(in_lanes async.lane_t[], in_left async.lane_t[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
-- Each lane is looked up in the index: a hash join would read all lanes.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $function$
begin
  update pg_temp.leader_lane l
  set after_priority = coalesce((n.first).after_priority, l.after_priority),
      after_entered = coalesce((n.first).after_entered, l.after_entered),
      after_id = coalesce((n.first).after_id, l.after_id),
      exhausted = n.first is null
  from (
    select p.pool, p.target, p.pullable,
      (array_agg(p.place order by p.after_priority, p.after_entered, p.after_id) filter (where p.is_left))[1] as first
    from (
      select r.pool, r.target, r.pullable, r.after_priority, r.after_entered, r.after_id, r as place, false as is_left
      from unnest(in_lanes) r
      union all
      select f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id, f, true
      from unnest(in_left) f
    ) p
    group by p.pool, p.target, p.pullable
    having not bool_and(p.is_left)
  ) n
  where l.pool = n.pool and l.target = n.target and l.pullable = n.pullable
    and (n.first is null
      or ((n.first).after_priority, (n.first).after_entered, (n.first).after_id)
        <> (l.after_priority, l.after_entered, l.after_id));
end
$function$;
