-- Purpose: unfinished tasks that hold a pool slot and run no query: YIELDED, pulled and offered
--   tasks.
-- Returns: their ids.
-- Raises: nothing.
-- Locks: none.
create or replace function async.tasks_without_query()
returns table (task_id bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select t.task_id from async.task t
  where (t.times_up is not null or t.yielded is not null) and t.processed is null
    and (t.yielded is not null or t.consumed is not null and t.query is null) and t.tracked
  union
  select o.task_id from async.offer o;
end
$function$;
