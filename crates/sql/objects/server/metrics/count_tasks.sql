-- Purpose: counts the tasks that the SQL engine has started and ended since the last time, by their rows,
--   and publishes the counters. A task that was restarted or deleted meanwhile does not count as ended.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.metric.
create or replace function async.count_tasks(in_now timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_started constant bigint[] := async.noted_tasks('started');
  v_ended constant bigint[] := async.noted_tasks('ended');
  -- The time of the last call, in microseconds since 1970.
  v_since timestamptz := greatest(
    to_timestamp(coalesce(nullif(current_setting('pgasync.counted_through', true), ''), '0')::float8 / 1000000),
    (select l.led_since from pg_temp.leader_state l));
  v_metrics async.metric[];
begin
  if v_since > in_now then
    -- The clock was set back.
    v_since := '-infinity';
  end if;
  with started as (
    select t.target from unnest(v_started) as s(task_id) join async.task t on t.task_id = s.task_id
  ), waited as (
    select t.target, greatest(0, extract(epoch from s.began - greatest(t.entered, t.run_at))) as waited
    from (
      select w.task_id, w.consumed as began
      from unnest(v_started) as u(task_id)
      join async.task w on w.task_id = u.task_id
      where coalesce(w.attempt, 0) = 0 and w.consumed is not null
      union all
      -- First attempts that have failed since. The tasks that were claimed at v_since were started later.
      select a.task_id, a.began
      from (select distinct d.task_id from unnest(v_started) as d(task_id)) u
      join async.task w on w.task_id = u.task_id and w.attempt > 0
      join async.attempt a on a.task_id = u.task_id
      where a.attempt = 1 and a.began >= v_since and a.began < in_now
    ) s
    join async.task t on t.task_id = s.task_id
  ), ended as (
    select t.target, t.finish_status,
      coalesce(substring(t.processing_error from '^([0-9A-Z]{2})[0-9A-Z]{3}: '), '') as class,
      greatest(0, extract(epoch from coalesce(t.yielded, t.processed) - t.consumed)) as took
    from (select distinct u.task_id from unnest(v_ended) as u(task_id)) e
    join async.task t on t.task_id = e.task_id
    -- Not those that had ended before the last call, and refused an event since.
    where t.processed > v_since
  )
  select array_agg(row(m.metric, m.labels, 0, m.value, m.buckets)::async.metric) into v_metrics
  from (
    select 'pgasync_tasks_started_total' as metric, jsonb_build_object('target', s.target) as labels,
      count(*)::float8 as value, null::bigint[] as buckets
    from started s
    group by s.target
    union all
    select 'pgasync_tasks_ended_total',
      jsonb_build_object('target', e.target, 'status', e.finish_status, 'sqlstate_class', e.class),
      count(*), null
    from ended e
    group by e.target, e.finish_status, e.class
    union all
    -- The failed attempts since the last time, but for the last one of a task.
    select 'pgasync_retries_total', jsonb_build_object('target', t.target), count(*), null
    from (select distinct u.task_id from unnest(v_ended) as u(task_id)) r
    join async.task t on t.task_id = r.task_id and t.retry is not null
    join async.attempt a on a.task_id = r.task_id
    where a.status in ('FAILED', 'TIMED_OUT') and a.ended > v_since and a.ended <= in_now
      and not (t.processed is not null and t.run = a.run)
    group by t.target
    union all
    select 'pgasync_task_wait_seconds', jsonb_build_object('target', s.target),
      sum(s.waited), async.metric_buckets('pgasync_task_wait_seconds', array_agg(s.waited))
    from waited s
    group by s.target
    union all
    select 'pgasync_task_run_seconds', jsonb_build_object('target', e.target),
      sum(e.took), async.metric_buckets('pgasync_task_run_seconds', array_agg(e.took))
    from ended e
    where e.took is not null
    group by e.target
  ) m;
  v_metrics := v_metrics
    || array_remove(array[async.noted_values('pgasync_batch_tasks'), async.noted_values('pgasync_loop_seconds')], null);
  perform set_config('pgasync.counted_through', (extract(epoch from in_now) * 1000000)::bigint::text, false);
  perform async.add_metrics(l.epoch, v_metrics) from pg_temp.leader_state l;
end
$function$;
