-- Purpose: async.get_tasks on a client database.
-- Returns: the rows that the server returned, in its order.
-- Raises: the errors of async.forward and of async.get_tasks on the server.
-- Locks: none on this database.
create or replace function async.forward_get_tasks(
  in_target text,
  in_limit int,
  in_timeout interval,
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = 'iso_8601'
as $function$
begin
  return query
    select t.task_id, t.priority, t.times_up, t.task_data
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text from async.get_tasks(%L, %L::int, %L::interval) t',
        in_target, in_limit, in_timeout)) as f(result),
      jsonb_to_record(f.result::jsonb)
        as t(task_id bigint, priority int, times_up timestamptz, task_data jsonb);
end
$function$;
