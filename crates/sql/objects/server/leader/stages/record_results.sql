-- Purpose: records the outcomes of queries, all in one call. A task whose row cannot be written
--   keeps its worker, and is retried with a backoff.
-- Returns: the number of tasks that were recorded.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.record_results(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_result_bytes_max constant int := 33554432;
  v_workers int[];
  v_ids bigint[];
  v_pools text[];
  v_ends bigint[];
  v_end_runs int[];
  v_events async.event_t[];
  v_row record;
  v_at int;
  v_done int[];
  v_released_pools text[] := '{}';
  v_recorded text;
begin
  select
    array_agg(s.worker), array_agg(s.task_id), array_agg(s.pool),
    array_agg(s.task_id) filter (where s.plain), array_agg(s.run) filter (where s.plain),
    array_agg(row(s.task_id, s.run,
        case when s.recorded then 'RELEASE' when s.outcome = 'ok' then 'END_OK' when s.outcome = 'lost' then 'END_UNKNOWN'
          when s.outcome = 'unsent' and s.intention is null then 'GIVE_BACK' else 'END_ERROR' end,
        in_now, s.intention, s.intention_error, s.error, s.intention_duration, s.timeout, s.request_ids,
        case when s.outcome = 'ok' and s.sent = 'kept' and not s.recorded then coalesce(s.result,
          '{"error": "the orchestrator was interrupted, or the target answered nothing"}') end,
        s.intention_by)::async.event_t)
      filter (where not s.plain)
  into v_workers, v_ids, v_pools, v_ends, v_end_runs, v_events
  from (
    select i.*, coalesce(i.outcome = 'ok', false) and i.intention is null and not i.recorded and i.sent is distinct from 'kept'
        as plain,
      case when i.outcome = 'unsent' then coalesce(t.default_timeout, c.default_timeout) end as timeout
    from pg_temp.leader_worker i
    cross join async.control c
    left join pg_temp.leader_target t on t.target = i.target
    where i.state = 'ended' and i.retry_at <= in_now
      -- The results that are written at once have a limit, because they are in memory then.
      and (i.result is null or c_result_bytes_max >= (
        select coalesce(sum(octet_length(o.result)), 0)
        from pg_temp.leader_worker o
        where o.state = 'ended' and o.retry_at <= in_now and (o.since, o.worker) < (i.since, i.worker)))
    order by i.since, i.worker
  ) s;
  if v_workers is null then
    return 0;
  end if;

  v_done := v_workers;
  for v_row in select w.* from async.leader_write(in_now, null, null, null, v_ends, v_end_runs, v_events) w loop
    v_at := array_position(v_ids, v_row.task_id);
    if v_row.backs_off then
      v_done := array_remove(v_done, v_workers[v_at]);
      update pg_temp.leader_worker s
      set tries = s.tries + 1, retry_at = p.until
      from pg_temp.leader_backoff p
      where p.task_id = s.task_id and s.worker = v_workers[v_at];
    elsif v_row.outcome in ('rejected', 'gone') and (v_row.tracked and v_row.processed is null
        and (v_row.consumed is not null or v_row.yielded is not null)) is not true then
      -- A row that the event did not fit (a user finished or deleted it) frees its worker as well.
      v_released_pools := v_released_pools || v_pools[v_at];
    end if;
  end loop;
  if v_released_pools <> '{}' then
    perform async.release_pools(v_released_pools);
  end if;
  if v_done <> '{}' then
    perform async.free_workers(v_done);
  end if;
  -- A setting, which the maintenance adds to the counters: a row that changes in each cycle would have
  -- many dead versions while a snapshot is held (async.compact_memory).
  v_recorded := set_config('pgasync.recorded',
    (coalesce(nullif(current_setting('pgasync.recorded', true), ''), '0')::int + cardinality(v_workers))::text, false);
  return cardinality(v_done);
end
$function$;
