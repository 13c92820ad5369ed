-- Purpose: the RUNNING tasks with a query, of any leader.
-- Returns: the rows.
-- Raises: nothing.
-- Locks: none.
create or replace function async.running_rows()
returns setof async.task
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select t.* from async.task t
  where t.times_up is not null and t.processed is null
    and t.yielded is null and t.consumed is not null and t.query is not null;
end
$function$;
