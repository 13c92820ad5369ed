-- Purpose: get_tasks as a client database calls it on its server: see push_forwarded.
-- Returns: as get_tasks.
-- Raises:  as get_tasks.
-- Locks:   as get_tasks.
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
as $function$
#variable_conflict use_column
begin
  return query
    select p.*
    from async.caller c
    cross join lateral async.pull_as(c.caller, c.ticket, in_target, in_limit, in_timeout, in_within) p;
end
$function$;
