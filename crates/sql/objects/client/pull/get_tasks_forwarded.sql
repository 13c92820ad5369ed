-- Purpose: async.get_tasks as a client database calls it on its server, at a target within those
--   that it granted to its own caller.
-- Returns: as async.get_tasks.
-- Raises: as async.get_tasks.
-- Locks: as async.get_tasks.
create or replace function async.get_tasks_forwarded(
  in_target text,
  in_limit int,
  in_timeout interval,
  in_within async.scope_t,
  out task_id bigint,
  out priority int,
  out times_up timestamptz,
  out task_data jsonb) returns setof record
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.pull_as(c.caller, c.ticket, in_target, in_limit, in_timeout, in_within) p;
end
$function$;
