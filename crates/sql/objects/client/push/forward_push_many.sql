-- Purpose: async.push_many on a client database, within the targets of the caller. Times without a
--   zone count in the zone and the style of this session.
-- Returns: as async.push_many.
-- Raises: PA082; the errors of async.forward and of async.push_many on the server.
-- Locks: none on this database.
create or replace function async.forward_push_many(in_caller name, in_scope async.scope_t, in_tasks jsonb)
returns table (task_id bigint, duplicate bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.check_forwarded_target(format('task %s: ', u.place), in_caller, in_scope, u.target)
  from (
    select e.value ->> 'target' as target, min(e.place) as place
    from jsonb_array_elements(case when jsonb_typeof(in_tasks) = 'array' then in_tasks else '[]' end)
      with ordinality as e(value, place)
    where jsonb_typeof(e.value -> 'target') = 'string'
    group by 1
  ) u
  order by u.place;
  return query
    select (f.result::jsonb ->> 'task_id')::bigint, (f.result::jsonb ->> 'duplicate')::bool
    from async.forward(format(
      'select pg_catalog.to_jsonb(p)::text from async.push_many_forwarded(%L::jsonb, %L::async.scope_t, %L, %L) p',
      in_tasks, in_scope, current_setting('timezone'), current_setting('datestyle'))) as f(result);
end
$function$;
