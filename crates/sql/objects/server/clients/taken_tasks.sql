-- Purpose: the tasks of the given events that were taken.
-- Returns: those that are RUNNING, in order.
-- Raises: nothing.
-- Locks: none.
create or replace function async.taken_tasks(in_events async.event_t[])
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  return query
    select t.task_id, t.priority, t.times_up, t.task_data
    from unnest(in_events) e
    join async.task t on t.task_id = e.task_id
    where t.consumed is not null and t.processed is null and t.yielded is null
    order by t.priority, t.entered, t.task_id;
end
$function$;
