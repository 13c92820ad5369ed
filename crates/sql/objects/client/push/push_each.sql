-- Purpose: pushes one query to each of some targets, with the same options.
-- Returns: the ids of the tasks, in the order of the targets, as async.push returns them.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push_each(
  _query text,
  _targets text[],
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  run_at timestamptz default null,
  expires_at timestamptz default null,
  unique_key text default null,
  unique_while text default null,
  on_conflict text default null,
  retry text default null,
  keep_result bool default null,
  receipt bool default null) returns setof bigint
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_element constant jsonb := jsonb_build_object(
    'query', _query, 'priority', priority, 'concurrency_pool', concurrency_pool, 'timeout', timeout,
    'task_data', task_data, 'track_yielded', track_yielded, 'source', source, 'run_at', run_at,
    'expires_at', expires_at, 'unique_key', unique_key, 'unique_while', unique_while, 'on_conflict', on_conflict,
    'retry', retry, 'keep_result', keep_result, 'receipt', receipt);
begin
  return query
    select p.task_id
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, (
      select coalesce(jsonb_agg(v_element || jsonb_build_object('target', t.target) order by t.place), '[]')
      from unnest(_targets) with ordinality as t(target, place)), null) p;
end
$function$;
