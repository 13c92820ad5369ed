-- Purpose: shows the leader's memory to the views: who runs what, what each pool holds, which targets are lost. Only
--   what changed is written, so that an idle leader writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
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

  delete from async.target_outage o
  where not exists (select from pg_temp.leader_target t where t.target = o.target and t.down_since is not null);
  insert into async.target_outage as o (target, since, error, retry_at)
  select t.target, t.down_since, async.mask_connection_string(t.last_error), t.retry_at
  from pg_temp.leader_target t where t.down_since is not null
  on conflict (target) do update
  set since = excluded.since, error = excluded.error, retry_at = excluded.retry_at
  where (o.since, o.error, o.retry_at) is distinct from (excluded.since, excluded.error, excluded.retry_at);
end
$function$;
