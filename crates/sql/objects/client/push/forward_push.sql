-- Purpose: async.push_tasks on a client database, within the targets of the caller.
-- Returns: the rows that the server inserted, in the order of the array.
-- Raises: PA082; the errors of async.forward and of async.push_tasks on the server.
-- Locks: none on this database.
create or replace function async.forward_push(
  in_caller name,
  in_scope async.scope_t,
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text) returns setof async.task
language plpgsql
set search_path = pg_catalog, pg_temp
-- This form of an interval does not depend on the settings of the server.
set intervalstyle = 'iso_8601'
as $function$
begin
  perform async.check_forwarded_target(format('task %s: ', u.place), in_caller, in_scope, u.target)
  from (
    select e.target, min(e.place) as place
    from unnest(in_tasks) with ordinality
      as e(task_data, target, priority, query, concurrency_pool, manual_timeout, track_yielded, place)
    group by e.target
  ) u
  order by u.place;
  return query
    select t.*
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text
         from async.push_forwarded(%L::async.task_push_t[], %L::async.task_run_type_t, %L, %L::async.scope_t) t',
        in_tasks, in_run_type, in_source, in_scope)) as f(result),
      jsonb_populate_record(null::async.task, f.result::jsonb) t
    -- As in async.push_tasks.
    where true or exists (select from async.task);
end
$function$;
