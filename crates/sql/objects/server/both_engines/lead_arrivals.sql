-- Purpose: the tasks that became READY since a snapshot: those whose transaction was not visible to
--   the snapshot. The cost grows with their number only. Tasks with eligible_when wait for that time
--   (run_at, a deferral), and are not in the queue yet.
-- Returns: up to in_max tasks, in no order.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_arrivals(in_since txid_snapshot, in_max int)
returns table (
  pool text, target text, pullable bool, task_id bigint, priority int, entered timestamptz,
  asynchronous_finish bool, track_yielded bool, manual_timeout interval, times_up timestamptz, run int, text_bytes int,
  run_at timestamptz, expires_at timestamptz, eligible_when timestamptz, attempt int, retry text, receipt bool
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
#variable_conflict use_column
declare
  v_after constant bigint := txid_snapshot_xmax(in_since);
  v_open constant bigint[] := array(select txid_snapshot_xip(in_since));
begin
  return query
  select coalesce(t.concurrency_pool, t.target), t.target, t.query is null, t.task_id, t.priority, t.entered,
    coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false), t.manual_timeout, t.times_up, t.run,
    coalesce(octet_length(t.query), 0), t.run_at, t.expires_at, t.eligible_when, coalesce(t.attempt, 0), t.retry::text,
    coalesce(t.receipt, false)
  from (
    select a.* from async.task a
    -- The index has the condition, so that no statement without it reads all of the index.
    where a.arrived >= v_after and a.arrived is not null
      and a.consumed is null and a.processed is null and a.yielded is null
    union all
    select a.* from async.task a
    where a.arrived = any (v_open) and a.arrived is not null
      and a.consumed is null and a.processed is null and a.yielded is null
  ) t
  where t.query is not null or t.tracked is distinct from true
  limit in_max;
end
$function$;
