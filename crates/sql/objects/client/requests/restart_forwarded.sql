-- Purpose: async.restart_task as a client database calls it on its server, for a task at a target
--   within those that it granted to its own caller.
-- Returns: nothing.
-- Raises: as async.restart_task.
-- Locks: as async.restart_task.
create or replace function async.restart_forwarded(in_task_id bigint, in_within async.scope_t) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, array[in_task_id], in_within) from async.caller c;
end
$function$;
