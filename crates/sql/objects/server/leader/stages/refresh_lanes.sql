-- Purpose: reads which lanes have READY tasks, and resets each to its front. The interval depends
--   on the cost of the last time (while a held snapshot keeps dead rows, the front of a lane is
--   expensive to read), so that it takes only a small share of the time.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refresh_lanes(in_now timestamptz)
returns void
language plpgsql
as $function$
declare
  c_share constant float8 := 40;
  v_began timestamptz := clock_timestamp();
begin
  update pg_temp.leader_lane l set exhausted = true where not l.exhausted;
  insert into pg_temp.leader_lane as o (pool, target, pullable)
  select d.pool, d.target, d.pullable from async.discover_lanes() d
  on conflict (pool, target, pullable) do update
  set exhausted = false, after_priority = -2147483648, after_entered = '-infinity', after_id = 0;
  insert into pg_temp.leader_pool (pool, max_workers)
  select distinct l.pool, async.pool_limit(l.pool)
  from pg_temp.leader_lane l
  where not l.exhausted and not exists (select from pg_temp.leader_pool p where p.pool = l.pool);
  perform set_config('pgasync.polled', '1', false);
  -- The next time is late enough to keep that share.
  perform async.note_done('refreshed_lanes', clock_timestamp() + c_share * (clock_timestamp() - v_began));
end
$function$;
