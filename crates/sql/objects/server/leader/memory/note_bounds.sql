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
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
as $function$
begin
  update pg_temp.leader_lane l
  set after_priority = coalesce(n.after_priority, l.after_priority),
      after_entered = coalesce(n.after_entered, l.after_entered),
      after_id = coalesce(n.after_id, l.after_id),
      exhausted = n.pool is null
  from unnest(in_lanes) r
  left join (
    select distinct on (f.pool, f.target, f.pullable) f.*
    from unnest(in_left) f
    order by f.pool, f.target, f.pullable, f.after_priority, f.after_entered, f.after_id
  ) n on n.pool = r.pool and n.target = r.target and n.pullable = r.pullable
  where l.pool = r.pool and l.target = r.target and l.pullable = r.pullable
    and (n.pool is null
      or (n.after_priority, n.after_entered, n.after_id) <> (l.after_priority, l.after_entered, l.after_id));
end
$function$;
