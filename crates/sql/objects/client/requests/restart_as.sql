-- Purpose: async.restart_task for the role that read in_ticket from async.caller, for a task at a
--   target within in_within (null: any).
-- Returns: nothing.
-- Raises: as async.restart_task; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.restart_task.
create or replace function async.restart_as(
  in_caller name, in_ticket bytea, in_task_id bigint, in_within async.scope_t) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    perform async.forward(format(
      'select async.restart_forwarded(%L, %L::async.scope_t)::text', in_task_id, v_scope));
    return;
  end if;
  perform async.restart_now(in_caller, v_scope, in_task_id);
end
$function$;
