-- Purpose: unfinished tasks whose deadline has passed, the longest overdue first, without in_skip,
--   tasks that are in backoff.
-- Returns: at most 1000 ids; null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.due_tasks(in_now timestamptz, in_skip bigint[])
returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return (
    select array_agg(d.task_id)
    from (
      select t.task_id from async.task t
      where t.times_up is not null and t.processed is null and t.times_up <= in_now
        and t.task_id <> all (in_skip)
      order by t.times_up, t.task_id
      limit 1000
    ) d);
end
$function$;
