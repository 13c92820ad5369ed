-- Purpose: publish_state for a leader in another process, which gives the workers that run a task and the number of
--   workers.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.lead_publish(
  in_workers int, in_slots int[], in_targets text[], in_tasks bigint[], in_since timestamptz[],
  in_pools text[], in_taken int[],
  in_lost text[], in_lost_since timestamptz[], in_lost_errors text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_idle constant int[] := array(select generate_series(1, in_workers) except select unnest(in_slots));
begin
  perform async.publish_state(
    in_slots || v_idle, in_targets, in_tasks, in_since, in_pools, in_taken,
    array(
      select async.pool_limit(p.pool) from unnest(in_pools) with ordinality as p(pool, place) order by p.place),
    in_lost, in_lost_since, in_lost_errors, null);
end
$function$;
