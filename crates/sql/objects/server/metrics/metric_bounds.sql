-- Purpose: the upper bounds of the buckets of a histogram, ascending. The last bucket has none.
-- Returns: float8[]; null for a metric that is no histogram.
-- Raises: nothing.
-- Locks: none.
create or replace function async.metric_bounds(in_metric text) returns float8[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_metric in ('pgasync_task_wait_seconds', 'pgasync_task_run_seconds')
      then '{0.001,0.01,0.1,1,10,60,600,3600,21600,86400}'::float8[]
    when in_metric = 'pgasync_batch_tasks' then '{1,2,4,8,16,32,64,128,256,512,1024}'::float8[]
    when in_metric = 'pgasync_loop_seconds' then '{0.00001,0.0001,0.001,0.01,0.1,1,10}'::float8[]
  end
$function$;
