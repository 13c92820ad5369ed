-- Purpose: writes the state of the leader of either engine to the tables that the views read: the
--   task of each worker, the occupancy of each pool, and the lost targets. Names workers and masks
--   errors. Writes only changed rows, so an idle leader writes nothing. A null array counts as an
--   empty one.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.publish_state(
  in_workers async.worker[], in_pools async.concurrency_pool_tracker[], in_lost async.target_outage[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
begin
  delete from async.worker w where not exists (select from unnest(in_workers) n where n.slot = w.slot);
  insert into async.worker as w (slot, name, target, task_id, running_since)
  select n.slot, 'pgasync_slot_' || n.slot, n.target, n.task_id, n.running_since
  from unnest(in_workers) n
  -- A condition of "do update" would lock unchanged rows, which writes WAL.
  where not exists (
    select from async.worker o
    where o.slot = n.slot
      and (o.name, o.target, o.task_id) is not distinct from ('pgasync_slot_' || n.slot, n.target, n.task_id))
  on conflict (slot) do update
  set name = excluded.name, target = excluded.target, task_id = excluded.task_id,
      running_since = excluded.running_since;

  delete from async.target_outage o where not exists (select from unnest(in_lost) l where l.target = o.target);
  insert into async.target_outage as o (target, since, error, retry_at)
  select l.target, l.since, m.error, l.retry_at
  from unnest(in_lost) l
  cross join lateral (select async.mask_text(l.error) as error offset 0) m
  where not exists (
    select from async.target_outage u
    where u.target = l.target and (u.since, u.error, u.retry_at) is not distinct from (l.since, m.error, l.retry_at))
  on conflict (target) do update
  set since = excluded.since, error = excluded.error, retry_at = excluded.retry_at;

  insert into async.concurrency_pool_tracker as k (concurrency_pool, workers, max_workers)
  select p.concurrency_pool, p.workers, p.max_workers
  from unnest(in_pools) p
  where not exists (
    select from async.concurrency_pool_tracker t
    where t.concurrency_pool = p.concurrency_pool
      and (t.workers, t.max_workers) is not distinct from (p.workers, p.max_workers))
  on conflict (concurrency_pool) do update
  set workers = excluded.workers, max_workers = excluded.max_workers;
  update async.concurrency_pool_tracker k set workers = 0
  where k.workers <> 0
    and not exists (select from unnest(in_pools) p where p.concurrency_pool = k.concurrency_pool);
  -- An empty pool that is not configured has no row.
  delete from async.concurrency_pool_tracker k
  where not exists (select from unnest(in_pools) p where p.concurrency_pool = k.concurrency_pool)
    and not exists (select from async.concurrency_pool p where p.concurrency_pool = k.concurrency_pool)
    and not exists (select from async.target g where g.target = k.concurrency_pool);
end
$function$;
