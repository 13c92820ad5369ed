-- Purpose: the state of every worker, for a dashboard.
-- Returns: an array of objects in the order of slot; null without workers.
-- Raises: nothing. Locks: none.
create or replace function async.worker_info() returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select jsonb_agg(
    jsonb_build_object(
      'slot', w.slot,
      'target', w.target,
      'task_id', w.task_id,
      'running_since', w.running_since,
      'query', t.query,
      'priority', t.priority)
    order by w.slot)
  from async.worker w
  left join async.task t on t.task_id = w.task_id
$function$;
