-- Purpose: lets waiting tasks be found again whose backoff has ended, because the positions of their
--   lanes may be behind them.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.return_to_lanes(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
declare
  v_ids bigint[];
begin
  v_ids := array(select b.task_id from pg_temp.leader_backoff b where b.until <= in_now and b.out_of_lane);
  perform async.note_fronts(array(
    select row(coalesce(t.concurrency_pool, t.target), t.target, t.query is null, t.priority, t.entered, t.task_id - 1,
      null, null)::async.lane_t
    from async.task t
    where t.task_id = any (v_ids) and (async.waits_for_launch(t) or async.waits_for_offer(t))));
  update pg_temp.leader_backoff b set out_of_lane = false where b.task_id = any (v_ids);
end
$function$;
