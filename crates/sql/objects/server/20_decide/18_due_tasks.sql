-- Purpose: unfinished tasks whose time is up, the longest overdue first.
-- Returns: their ids, null when there are none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.due_tasks(in_now timestamptz)
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
      order by t.times_up, t.task_id
      limit 1000
    ) d);
end
$function$;
