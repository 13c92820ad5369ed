-- Purpose: async.get_tasks on a client database, within the targets of the caller.
-- Returns: the rows that the server returned, in its order.
-- Raises: PA082; the errors of async.forward and of async.get_tasks on the server.
-- Locks: none on this database.
create or replace function async.forward_get_tasks(
  in_caller name,
  in_scope async.scope_t,
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
  perform async.check_forwarded_target('', in_caller, in_scope, in_target);
  return query
    select t.task_id, t.priority, t.times_up, t.task_data
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text
         from async.get_tasks_forwarded(%L, %L::int, %L::interval, %L::async.scope_t) t',
        in_target, in_limit, in_timeout, in_scope)) as f(result),
      jsonb_to_record(f.result::jsonb)
        as t(task_id bigint, priority int, times_up timestamptz, task_data jsonb);
end
$function$;
