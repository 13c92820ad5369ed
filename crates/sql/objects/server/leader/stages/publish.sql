-- Purpose: shows the leader's memory to the views: what each worker runs, what each pool holds, which targets are lost. Only
--   what changed is written, so that an idle leader writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.publish()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_workers record;
  v_pools record;
  v_lost record;
begin
  select array_agg(s.worker) as workers, array_agg(s.target) as targets, array_agg(s.task_id) as tasks,
    array_agg(case when s.task_id is not null then s.since end) as since
  into v_workers from pg_temp.leader_worker s;
  select array_agg(p.pool) as pools, array_agg(p.taken) as taken, array_agg(p.max_workers) as limits
  into v_pools from pg_temp.leader_pool p;
  select array_agg(t.target) as targets, array_agg(t.down_since) as since, array_agg(t.last_error) as errors,
    array_agg(t.retry_at) as retry_at
  into v_lost from pg_temp.leader_target t where t.down_since is not null;
  perform async.publish_state(v_workers.workers, v_workers.targets, v_workers.tasks, v_workers.since,
    v_pools.pools, v_pools.taken, v_pools.limits,
    v_lost.targets, v_lost.since, v_lost.errors, v_lost.retry_at);
end
$function$;
