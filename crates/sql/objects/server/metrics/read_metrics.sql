-- Purpose: the metrics of the server, with the names that pgasync run shows at /metrics: the counters that
--   the leader published, and the gauges. A metric has at most 1,000 series; the names after them share the
--   label value other. The cost grows with the number of lanes, pools and targets, and not with the number
--   of tasks.
-- Returns: one row for each series.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: a list of the metrics.)
create or replace function async.read_metrics() returns table (name text, labels jsonb, value float8)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  c_series_max constant int := 1000;
  v_leads constant bool := async.leader_exists();
begin
  return query
  select m.metric, m.labels, m.value
  from async.metric m
  join async.leader l on l.epoch = m.epoch
  where m.buckets is null;

  return query
  select h.metric || s.suffix, h.labels || s.le, s.value
  from async.metric h
  join async.leader l on l.epoch = h.epoch
  cross join lateral (
    select '_bucket' as suffix,
      jsonb_build_object('le', case when c.place > cardinality(c.bounds) then '+Inf' else c.bounds[c.place]::text end) as le,
      sum(c.observations) over (order by c.place)::float8 as value
    from (
      select b.place, b.observations, async.metric_bounds(h.metric) as bounds
      from unnest(h.buckets) with ordinality as b(observations, place)
    ) c
    union all
    select '_count', '{}'::jsonb, (select sum(b.observations) from unnest(h.buckets) as b(observations))::float8
    union all
    select '_sum', '{}'::jsonb, h.value
  ) s
  where h.buckets is not null;

  return query
  select 'pgasync_build_info'::text, jsonb_build_object('version', c.version, 'engine', coalesce(l.engine, 'none')),
    1::float8
  from async.client_control c left join async.leader l on true
  union all
  select 'pgasync_leader', '{}'::jsonb, v_leads::int::float8
  union all
  select 'pgasync_workers_busy', '{}'::jsonb, count(w.task_id)::float8 from async.worker w
  union all
  select 'pgasync_workers_max', '{}'::jsonb, c.workers::float8 from async.control c
  union all
  select 'pgasync_fences_open', '{}'::jsonb, count(distinct s.target)::float8
  from async.session s left join async.leader l on true
  where s.epoch < l.epoch or s.lost_since is not null and not s.written_off and not s.settled;

  return query
  with pool as (
    select p.pool, coalesce(k.workers, 0) as used, async.pool_limit(p.pool) as slots
    from (
      select c.concurrency_pool as pool from async.concurrency_pool c
      union
      select t.target from async.target t
      union
      select r.concurrency_pool from async.concurrency_pool_tracker r where r.workers > 0
    ) p
    left join async.concurrency_pool_tracker k on k.concurrency_pool = p.pool
  ), backlog as (
    select b.target, sum(b.waiting) as waiting, max(b.oldest_seconds) as oldest from async.backlog() b group by b.target
  ), gauge as (
    select 'pgasync_tasks_waiting' as metric, 'target' as label, b.target as key, b.waiting::float8 as value, 'sum' as rest
    from backlog b
    union all
    select 'pgasync_oldest_waiting_seconds', 'target', b.target, b.oldest, 'max' from backlog b
    union all
    select 'pgasync_pool_slots_used', 'pool', p.pool, p.used, 'sum' from pool p
    union all
    select 'pgasync_pool_slots_max', 'pool', p.pool, p.slots, 'sum' from pool p
    union all
    select 'pgasync_sessions', 'target', s.target, count(*), 'sum'
    from async.session s join async.leader l on l.epoch = s.epoch
    group by s.target
    union all
    select 'pgasync_target_up', 'target', t.target, (o.target is null)::int, 'min'
    from async.target t
    left join async.target_outage o on o.target = t.target
    where v_leads
  ), placed as (
    select g.metric, g.label, g.value, g.rest,
      case when row_number() over (partition by g.metric order by g.key = 'other', g.key) < c_series_max then g.key
        else 'other' end as key
    from gauge g
  )
  select p.metric, jsonb_build_object(p.label, p.key),
    case p.rest when 'sum' then sum(p.value) when 'min' then min(p.value) else max(p.value) end
  from placed p
  group by p.metric, p.label, p.key, p.rest;
end
$function$;
