-- Purpose: async.publish_state for the Rust engine, which gives the number of workers, those that
--   run a task, and the occupancy of each pool.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.lead_publish(
  in_workers int, in_busy async.worker[], in_pools async.concurrency_pool_tracker[], in_lost async.target_outage[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.publish_state(
    array(
      select row(s.slot, '', w.target, w.task_id, w.running_since)::async.worker
      from (select generate_series(1, in_workers) as slot union select b.slot from unnest(in_busy) b) s
      left join unnest(in_busy) w on w.slot = s.slot),
    array(
      select row(p.concurrency_pool, p.workers, async.pool_limit(p.concurrency_pool))::async.concurrency_pool_tracker
      from unnest(in_pools) p),
    in_lost);
end
$function$;
