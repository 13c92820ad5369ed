-- Purpose: shows the leader's memory to the views: who runs what, and what each pool holds. Only what changed is
--   written, so that an idle leader writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker and async.concurrency_pool_tracker.
create or replace function async.publish()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.worker w
  where not exists (select from pg_temp.leader_slot s where s.slot = w.slot);
  insert into async.worker as w (slot, name, target, task_id, running_since)
  select s.slot, s.conn, s.target, s.task_id, case when s.task_id is not null then s.since end
  from pg_temp.leader_slot s
  on conflict (slot) do update
  set name = excluded.name, target = excluded.target, task_id = excluded.task_id,
      running_since = excluded.running_since
  where (w.name, w.target, w.task_id) is distinct from (excluded.name, excluded.target, excluded.task_id);

  delete from async.concurrency_pool_tracker k
  where not exists (select from pg_temp.leader_pool p where p.pool = k.concurrency_pool);
  insert into async.concurrency_pool_tracker as k (concurrency_pool, workers, max_workers)
  select p.pool, p.taken, p.max_workers from pg_temp.leader_pool p
  on conflict (concurrency_pool) do update
  set workers = excluded.workers, max_workers = excluded.max_workers
  where (k.workers, k.max_workers) is distinct from (excluded.workers, excluded.max_workers);
end
$function$;
