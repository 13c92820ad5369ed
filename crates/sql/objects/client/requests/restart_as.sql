-- Purpose: restart_task for the role that read in_ticket from async.caller, for a task of a target
--   within in_within (null: any).
-- Returns: nothing.
-- Raises: as restart_task; 42501 for a ticket that is not the caller's.
-- Locks: the task's row, until the end of the transaction.
--
-- No search_path is set: users' triggers on async.task would inherit it. So nothing in here may
-- depend on the caller's: see push_as.
create or replace function async.restart_as(
  in_caller name, in_ticket bytea, in_task_id bigint, in_within async.scope_t) returns void
language plpgsql security definer
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    perform async.forward(pg_catalog.format(
      'select async.restart_forwarded(%L, %L::async.scope_t)::text', in_task_id, v_scope));
    return;
  end if;
  perform async.restart_now(in_caller, v_scope, in_task_id);
end
$function$;
