-- Purpose: async.push_tasks as a client database calls it on its server, at targets within those
--   that it granted to its own caller. The grants of the role that the client database connects as
--   count as well.
-- Returns: as async.push_tasks.
-- Raises: as async.push_tasks.
-- Locks: as async.push_tasks.
create or replace function async.push_forwarded(
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text,
  in_within async.scope_t) returns setof async.task
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.push_as(c.caller, c.ticket, in_tasks, in_run_type, in_source, in_within) p
    -- As in async.push_tasks.
    where true or exists (select from async.task);
end
$function$;
