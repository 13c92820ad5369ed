-- Purpose: the heads of lanes, for the Rust engine. The lanes are parallel arrays. A lane with
--   in_after_id gives the tasks after that position, so that the index entries of tasks before it
--   are not read again.
-- Returns: up to in_limits tasks of each lane, in order, each with the position of its lane.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_heads(
  in_pools text[], in_targets text[], in_pullable bool[], in_limits int[],
  in_after_priority int[], in_after_entered timestamptz[], in_after_id bigint[]
) returns table (
  lane bigint, task_id bigint, priority int, entered timestamptz, asynchronous_finish bool, track_yielded bool,
  manual_timeout interval, times_up timestamptz, run int, text_bytes int,
  run_at timestamptz, expires_at timestamptz, attempt int, retry text, receipt bool
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
#variable_conflict use_column
begin
  return query
  select l.lane, h.*
  from unnest(in_pools, in_targets, in_pullable, in_limits, in_after_priority, in_after_entered, in_after_id)
    with ordinality
    as l(pool, target, pullable, heads_max, after_priority, after_entered, after_id, lane)
  cross join lateral (
    (select t.task_id, t.priority, t.entered, coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false),
       t.manual_timeout, t.times_up, t.run, octet_length(t.query), t.run_at, t.expires_at,
       coalesce(t.attempt, 0), t.retry::text, coalesce(t.receipt, false)
     from async.task t
     where not l.pullable
       and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
       and async.waits_for_launch(t)
       and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
     order by t.priority, t.entered, t.task_id
     limit l.heads_max)
    union all
    (select t.task_id, t.priority, t.entered, coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false),
       t.manual_timeout, t.times_up, t.run, 0, t.run_at, t.expires_at, coalesce(t.attempt, 0), t.retry::text,
       false
     from async.task t
     where l.pullable
       and coalesce(t.concurrency_pool, t.target) = l.pool and t.target = l.target
       and async.waits_for_offer(t)
       and (t.priority, t.entered, t.task_id) > (l.after_priority, l.after_entered, l.after_id)
     order by t.priority, t.entered, t.task_id
     limit l.heads_max)
  ) h;
end
$function$;
