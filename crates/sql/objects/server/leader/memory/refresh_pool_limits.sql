-- Purpose: applies changed limits of pools to the memory of the leader (see async.pool_limit and
--   async.pool_spacing). Many
--   pools take long, and the next time is late enough to take a small share of the time.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refresh_pool_limits()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
declare
  c_share constant float8 := 20;
  v_began constant timestamptz := clock_timestamp();
begin
  if not async.is_due('pool_limits', '0', v_began) then
    return;
  end if;
  update pg_temp.leader_pool p
  set max_workers = l.max_workers, spacing = l.spacing, paused = l.paused
  from (
    select i.pool, coalesce(n.max_workers, t.max_concurrency, c.default_concurrency_pool_workers) as max_workers,
      n.interval / nullif(n.starts_max, 0) as spacing, coalesce(n.paused, false) as paused
    from pg_temp.leader_pool i
    cross join async.control c
    left join async.concurrency_pool n on n.concurrency_pool = i.pool
    left join async.target t on t.target = i.pool
  ) l
  where l.pool = p.pool
    and (l.max_workers <> p.max_workers or l.spacing is distinct from p.spacing or l.paused <> p.paused);
  perform async.note_done('pool_limits', v_began + c_share * (clock_timestamp() - v_began));
end
$function$;
