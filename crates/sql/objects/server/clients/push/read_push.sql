-- Purpose: reads the document of async.push_many.
-- Returns: for each element, in order, what async.push_tasks knows of it, and its options.
-- Raises: as async.refuse_push.
-- Locks: none.
create or replace function async.read_push(
  in_tasks jsonb, out out_tasks async.task_push_t[], out out_options async.push_options_t[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_names constant text[] := array(select o.name from async.push_options() o);
begin
  if jsonb_typeof(in_tasks) is distinct from 'array' then
    raise exception 'the tasks must be an array, not %',
        coalesce(async.describe_json_type(jsonb_typeof(in_tasks)), 'null')
      using errcode = 'PA01D', hint = 'async.push_many takes [{"query": ..., "target": ...}, ...].';
  elsif jsonb_array_length(in_tasks) > async.push_elements_max() then
    raise exception '% tasks are too many for one push', jsonb_array_length(in_tasks)
      using errcode = 'PA019', hint = format('Push up to %s at once.', async.push_elements_max());
  end if;
  -- jsonb_to_recordset ignores other keys, and takes texts of any JSON value.
  if exists (
    select from jsonb_array_elements(in_tasks) e(it)
    where case when jsonb_typeof(e.it) <> 'object' then true
      else (e.it - c_names) <> '{}'
        or jsonb_typeof(e.it -> 'query') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'target') is distinct from 'string'
        or jsonb_typeof(e.it -> 'priority') not in ('number', 'null')
        or jsonb_typeof(e.it -> 'concurrency_pool') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'timeout') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'track_yielded') not in ('boolean', 'null')
        or jsonb_typeof(e.it -> 'source') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'run_at') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'expires_at') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'unique_key') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'unique_while') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'on_conflict') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'retry') not in ('string', 'null')
        or jsonb_typeof(e.it -> 'keep_result') not in ('boolean', 'null')
        or jsonb_typeof(e.it -> 'receipt') not in ('boolean', 'null')
      end)
  then
    perform async.refuse_push(in_tasks);
  end if;
  begin
    select
      coalesce(array_agg(row(e.task_data, e.target, e.priority, e.query, e.concurrency_pool,
        e.timeout, e.track_yielded)::async.task_push_t order by e.place), '{}'),
      coalesce(array_agg(row(e.source, e.run_at, e.expires_at, e.unique_key,
        coalesce(e.unique_while, case when e.unique_key is not null then 'unfinished' end),
        coalesce(e.on_conflict, case when e.unique_key is not null then 'skip' end), e.retry,
        e.keep_result, e.receipt)::async.push_options_t
        order by e.place), '{}')
    into out_tasks, out_options
    from rows from (jsonb_to_recordset(in_tasks) as (query text, target text, priority int, concurrency_pool text,
      timeout interval, task_data jsonb, track_yielded bool, source text, run_at timestamptz, expires_at timestamptz,
      unique_key text, unique_while text, on_conflict text, retry text, keep_result bool, receipt bool)) with
      ordinality
      as e(query, target, priority, concurrency_pool, timeout, task_data, track_yielded, source, run_at, expires_at,
        unique_key, unique_while, on_conflict, retry, keep_result, receipt, place);
  exception when data_exception then
    perform async.refuse_push(in_tasks);
    raise;
  end;
  if exists (
    select from unnest(out_options) o
    where not isfinite(o.run_at) or not isfinite(o.expires_at) or o.expires_at <= o.run_at
      or octet_length(o.source) > async.name_bytes_max()
      or octet_length(o.unique_key) > async.unique_key_bytes_max()
      or o.unique_while not in ('unfinished', 'waiting') or o.on_conflict not in ('skip', 'error', 'replace')
      or o.unique_key is null and (o.unique_while is not null or o.on_conflict is not null)
      or o.keep_result or o.receipt)
  then
    perform async.refuse_options(out_tasks, out_options);
  end if;
end
$function$;
