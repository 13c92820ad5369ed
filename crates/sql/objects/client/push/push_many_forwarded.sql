-- Purpose: async.push_many as a client database calls it on its server, at targets within those that
--   it granted to its own caller, with the time zone and the style of dates of its session. The grants
--   of the role that the client database connects as count as well.
-- Returns: as async.push_many.
-- Raises: as async.push_many.
-- Locks: as async.push_many.
create or replace function async.push_many_forwarded(
  in_tasks jsonb,
  in_within async.scope_t,
  in_time_zone text,
  in_date_style text) returns table (task_id bigint, duplicate bool)
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('timezone', in_time_zone, true), set_config('datestyle', in_date_style, true);
  return query
    select p.task_id, p.duplicate
    from async.caller c
    cross join lateral async.push_many_as(c.caller, c.ticket, in_tasks, in_within) p;
end
$function$;
