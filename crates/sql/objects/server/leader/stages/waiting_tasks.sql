-- Purpose: READY tasks of a lane that could run before a time, in the order of the queue.
-- Returns: at most 1000 ids; null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.waiting_tasks(
  in_pool text, in_target text, in_before timestamptz, in_skip bigint[]
) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $function$
begin
  return (
    select array_agg(w.task_id)
    from (
      select t.task_id from async.task t
      where coalesce(t.concurrency_pool, t.target) = in_pool and t.target = in_target
        and async.waits_for_launch(t)
        and greatest(t.entered, t.run_at) <= in_before and t.task_id <> all (in_skip)
      order by t.priority, t.entered, t.task_id
      limit 1000
    ) w);
end
$function$;
