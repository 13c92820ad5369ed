-- Purpose: shows to the views what a leader of either engine knows: what each slot runs, what each pool holds, which
--   targets are lost. Only what changed is written, so that an idle leader writes nothing. Groups of parallel arrays; null
--   is an empty one.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.publish_state(
  in_slots int[], in_targets text[], in_tasks bigint[], in_since timestamptz[],
  in_pools text[], in_taken int[], in_limits int[],
  in_lost text[], in_lost_since timestamptz[], in_lost_errors text[], in_lost_retry_at timestamptz[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.worker w where w.slot <> all (coalesce(in_slots, '{}'));
  insert into async.worker as w (slot, name, target, task_id, running_since)
  select n.slot, 'pgasync_slot_' || n.slot, n.target, n.task_id, n.since
  from unnest(in_slots, in_targets, in_tasks, in_since) as n(slot, target, task_id, since)
  on conflict (slot) do update
  set name = excluded.name, target = excluded.target, task_id = excluded.task_id,
      running_since = excluded.running_since
  where (w.name, w.target, w.task_id) is distinct from (excluded.name, excluded.target, excluded.task_id);

  delete from async.target_outage o where o.target <> all (coalesce(in_lost, '{}'));
  insert into async.target_outage as o (target, since, error, retry_at)
  select l.target, l.since, async.mask_connection_string(l.error), l.retry_at
  from unnest(in_lost, in_lost_since, in_lost_errors, in_lost_retry_at) as l(target, since, error, retry_at)
  on conflict (target) do update
  set since = excluded.since, error = excluded.error, retry_at = excluded.retry_at
  where (o.since, o.error, o.retry_at) is distinct from (excluded.since, excluded.error, excluded.retry_at);

  insert into async.concurrency_pool_tracker as k (concurrency_pool, workers, max_workers)
  select p.pool, p.taken, p.max_workers from unnest(in_pools, in_taken, in_limits) as p(pool, taken, max_workers)
  on conflict (concurrency_pool) do update
  set workers = excluded.workers, max_workers = excluded.max_workers
  where (k.workers, k.max_workers) is distinct from (excluded.workers, excluded.max_workers);
  update async.concurrency_pool_tracker k set workers = 0
  where k.workers <> 0 and k.concurrency_pool <> all (coalesce(in_pools, '{}'));
  -- Of a pool that is not configured nothing is left when it is empty.
  delete from async.concurrency_pool_tracker k
  where k.concurrency_pool <> all (coalesce(in_pools, '{}'))
    and not exists (select from async.concurrency_pool p where p.concurrency_pool = k.concurrency_pool)
    and not exists (select from async.target g where g.target = k.concurrency_pool);
end
$function$;
