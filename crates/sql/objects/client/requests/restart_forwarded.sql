-- Purpose: restart_task as a client database calls it on its server: see push_forwarded.
-- Returns: nothing.
-- Raises:  as restart_task.
-- Locks:   as restart_task.
create or replace function async.restart_forwarded(in_task_id bigint, in_within async.scope_t) returns void
language plpgsql security invoker
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, in_task_id, in_within) from async.caller c;
end
$function$;
