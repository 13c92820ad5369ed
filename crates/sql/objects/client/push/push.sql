-- Purpose: pushes one task with options, as async.push_many does.
-- Returns: the id of the task; that of the present task if it has the unique key already.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push(
  _query text,
  _target text,
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
  receipt bool default null) returns bigint
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select p.task_id
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, jsonb_build_array(jsonb_build_object(
      'query', _query, 'target', _target, 'priority', priority, 'concurrency_pool', concurrency_pool,
      'timeout', timeout, 'task_data', task_data, 'track_yielded', track_yielded, 'source', source,
      'run_at', run_at, 'expires_at', expires_at, 'unique_key', unique_key, 'unique_while', unique_while,
      'on_conflict', on_conflict, 'retry', retry, 'keep_result', keep_result, 'receipt', receipt)), null) p);
end
$function$;
