-- Purpose: check what is pushed, and say which rows it makes. In the leader's own session (triggers, routines)
--          elements without a target are skipped with a warning.
-- Returns: one row an element, at its position in the array.
-- Raises:  PA010 no target, PA011 unknown target, PA012 retired target, PA013 retired pool, PA014 no query,
--          PA015 a query for a target without a connection string, PA016 an impossible timeout.
-- Locks:   none.
create or replace function async.prepare_push(
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t)
returns table (
  out_position bigint,
  out_target text,
  out_priority int,
  out_entered timestamptz,
  out_processed timestamptz,
  out_finish_status async.finish_status_t,
  out_query text,
  out_failed bool,
  out_asynchronous_finish bool,
  out_task_data jsonb,
  out_concurrency_pool text,
  out_manual_timeout interval,
  out_track_yielded bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_run_type async.task_run_type_t := coalesce(in_run_type, 'EXECUTE');
  v_runs bool := v_run_type in ('EXECUTE', 'EXECUTE_NOASYNC');
  v_now timestamptz := clock_timestamp();
  v_skipped text;
  v_bad record;
begin
  select string_agg(e.place::text, ', ' order by e.place) into v_skipped
  from unnest(in_tasks) with ordinality
    as e(task_data, target, priority, query, concurrency_pool, manual_timeout, track_yielded, place)
  where e.target is null;
  if v_skipped is not null then
    if not async.is_leader() then
      raise exception 'task % has no target', split_part(v_skipped, ',', 1)
        using errcode = 'PA010', hint = 'Name a configured target, or SELF for the server itself.';
    end if;
    raise warning 'these tasks have no target and were not pushed: %', v_skipped using errcode = 'PA010';
  end if;

  select e.place, e.target, e.concurrency_pool, t.target is null as unknown, t.retired, p.retired as pool_retired,
    e.query is null as queryless, not async.is_usable_duration(e.manual_timeout) as endless
  into v_bad
  from unnest(in_tasks) with ordinality
    as e(task_data, target, priority, query, concurrency_pool, manual_timeout, track_yielded, place)
  left join async.target t on t.target = async.resolve_target(e.target)
  left join async.concurrency_pool p on p.concurrency_pool = e.concurrency_pool and p.retired
    and not exists (select from async.target n where n.target = e.concurrency_pool and not n.retired)
  where e.target is not null
    and (t.target is null or t.retired or p.retired or not async.is_usable_duration(e.manual_timeout)
      or v_runs and (e.query is null and not t.asynchronous_finish
        or e.query is not null and t.connection_string is null))
  order by e.place
  limit 1;
  if v_bad.unknown then
    raise exception 'task %: there is no target %', v_bad.place, quote_literal(v_bad.target)
      using errcode = 'PA011', hint = 'async.configure makes targets; async.v_target lists them.';
  elsif v_bad.retired then
    raise exception 'task %: the target % is retired', v_bad.place, quote_literal(v_bad.target)
      using errcode = 'PA012', hint = 'The last configuration left it out. Configure it again, or name another.';
  elsif v_bad.pool_retired then
    raise exception 'task %: the concurrency pool % is retired', v_bad.place, quote_literal(v_bad.concurrency_pool)
      using errcode = 'PA013', hint = 'The last configuration left it out. Configure it again, or name another.';
  elsif v_bad.endless then
    raise exception 'task %: its manual_timeout is negative, or reaches beyond the end of time', v_bad.place
      using errcode = 'PA016', hint = 'Leave it out for the target''s own timeout.';
  elsif v_bad.queryless then
    raise exception 'task %: it has no query, and clients do not pull the tasks of %', v_bad.place, quote_literal(v_bad.target)
      using errcode = 'PA014', hint = 'Give it a query, or configure the target with asynchronous_finish.';
  elsif v_bad.place is not null then
    raise exception 'task %: the target % has no connection string, so clients have to pull its tasks', v_bad.place,
        quote_literal(v_bad.target)
      using errcode = 'PA015', hint = 'Push it without a query, or configure a connection string.';
  end if;

  return query
    select e.place, t.target, coalesce(e.priority, 0), v_now,
      case when not v_runs then v_now end,
      case v_run_type when 'DOA' then 'DOA' when 'EMPTY' then 'FINISHED' end::async.finish_status_t,
      e.query,
      case v_run_type when 'DOA' then true when 'EMPTY' then false end,
      t.asynchronous_finish and v_run_type not in ('EXECUTE_NOASYNC', 'EMPTY'),
      e.task_data,
      coalesce(e.concurrency_pool, t.target),
      e.manual_timeout,
      coalesce(e.track_yielded, t.concurrency_track_yielded, false)
    from unnest(in_tasks) with ordinality
      as e(task_data, target, priority, query, concurrency_pool, manual_timeout, track_yielded, place)
    join async.target t on t.target = async.resolve_target(e.target)
    order by e.place;
end
$function$;
