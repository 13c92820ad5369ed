-- Purpose: the lanes of the tasks that became READY since a snapshot, for more of them than are read
--   one by one. The cost grows with the number of these tasks. To read their lanes from the front would
--   cost more while an old snapshot is held, which keeps the index entries of all tasks that ended.
-- Returns: each lane with the position after which these tasks are: the least priority, the least time
--   and the least number of them. Null if more than in_max tasks became READY.
-- Raises: nothing.
-- Locks: none.
create or replace function async.arrival_lanes(in_since txid_snapshot, in_max int)
returns async.lane_t[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
declare
  v_after constant bigint := txid_snapshot_xmax(in_since);
  v_open constant bigint[] := array(select txid_snapshot_xip(in_since));
  v_lanes async.lane_t[];
  v_tasks bigint;
begin
  select
    coalesce(array_agg(row(l.pool, l.target, l.pullable, l.priority, l.entered, l.task_id - 1, null, null)::async.lane_t)
      filter (where l.priority is not null), '{}'),
    sum(l.tasks)
  into v_lanes, v_tasks
  from (
    select coalesce(t.concurrency_pool, t.target) as pool, t.target, t.query is null as pullable, count(*) as tasks,
      -- Tasks with eligible_when wait for that time, and are not in the queue yet.
      min(t.priority) filter (where t.eligible_when is null) as priority,
      min(t.entered) filter (where t.eligible_when is null) as entered,
      min(t.task_id) filter (where t.eligible_when is null) as task_id
    from (
      select a.* from async.task a
      where a.arrived >= v_after and a.arrived is not null
        and a.consumed is null and a.processed is null and a.yielded is null
      union all
      select a.* from async.task a
      where a.arrived = any (v_open) and a.arrived is not null
        and a.consumed is null and a.processed is null and a.yielded is null
      limit in_max + 1
    ) t
    where t.query is not null or t.tracked is distinct from true
    group by 1, 2, 3
  ) l;
  return case when coalesce(v_tasks, 0) <= in_max then v_lanes end;
end
$function$;
