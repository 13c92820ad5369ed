-- Purpose: publish_state for a leader in another process, which gives the workers that run a task
--   and the number of workers.
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
begin
  perform async.publish_state(
    array(
      select row(s.slot, '', w.target, w.task_id, w.since)::async.worker
      from (select generate_series(1, in_workers) as slot union select unnest(in_slots)) s
      left join unnest(in_slots, in_targets, in_tasks, in_since) w(slot, target, task_id, since) on w.slot = s.slot),
    array(
      select row(p.pool, p.taken, async.pool_limit(p.pool))::async.concurrency_pool_tracker
      from unnest(in_pools, in_taken) p(pool, taken)),
    array(
      select row(l.target, l.since, l.error, null)::async.target_outage
      from unnest(in_lost, in_lost_since, in_lost_errors) l(target, since, error)));
end
$function$;
