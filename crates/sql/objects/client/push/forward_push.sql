-- Purpose: async.push_tasks on a client database.
-- Returns: the rows that the server inserted, in the order of the array.
-- Raises: the errors of async.forward and of async.push_tasks on the server.
-- Locks: none on this database.
create or replace function async.forward_push(
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text) returns setof async.task
language plpgsql
set search_path = pg_catalog, pg_temp
-- This form of an interval does not depend on the settings of the server.
set intervalstyle = 'iso_8601'
as $function$
begin
  return query
    select t.*
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text
         from async.push_tasks(%L::async.task_push_t[], %L::async.task_run_type_t, %L) t',
        in_tasks, in_run_type, in_source)) as f(result),
      jsonb_populate_record(null::async.task, f.result::jsonb) t;
end
$function$;
