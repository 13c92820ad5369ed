-- Purpose: publishes the memory of the leader for the views: the task of each worker, the occupancy
--   of each pool, and the lost targets. Writes only changed rows, so an idle leader writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.worker, async.concurrency_pool_tracker and async.target_outage.
create or replace function async.publish()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_share constant float8 := 40;
  v_began constant timestamptz := clock_timestamp();
begin
  perform async.publish_state(
    array(
      select row(s.worker, '', s.target, s.task_id, case when s.task_id is not null then s.since end)::async.worker
      from pg_temp.leader_worker s),
    array(select row(p.pool, p.taken, p.max_workers)::async.concurrency_pool_tracker from pg_temp.leader_pool p),
    array(
      select row(t.target, t.down_since, t.last_error, t.retry_at)::async.target_outage
      from pg_temp.leader_target t where t.down_since is not null));
  -- Many pools take long. The next time is late enough to keep that share.
  perform async.note_done('published', v_began + c_share * (clock_timestamp() - v_began));
end
$function$;
