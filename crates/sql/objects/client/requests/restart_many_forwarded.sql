-- Purpose: async.restart as a client database calls it on its server, for tasks at targets within those
--   that it granted to its own caller.
-- Returns: as async.restart.
-- Raises: as async.restart.
-- Locks: as async.restart.
create or replace function async.restart_many_forwarded(in_task_ids bigint[], in_within async.scope_t) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, in_task_ids, in_within) from async.caller c;
end
$function$;
