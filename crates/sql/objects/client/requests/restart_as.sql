-- Purpose: async.restart for the role that read in_ticket from async.caller, for tasks at targets
--   within in_within (null: any).
-- Returns: nothing.
-- Raises: as async.restart; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.restart.
create or replace function async.restart_as(
  in_caller name, in_ticket bytea, in_task_ids bigint[], in_within async.scope_t) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if not async.client_only() then
    perform async.restart_now(in_caller, v_scope, in_task_ids);
  elsif cardinality(in_task_ids) = 1 then
    -- Older servers have only this function.
    perform async.forward(format(
      'select async.restart_forwarded(%L, %L::async.scope_t)::text', in_task_ids[1], v_scope));
  else
    perform async.forward(format(
      'select async.restart_many_forwarded(%L::bigint[], %L::async.scope_t)::text', in_task_ids, v_scope));
  end if;
end
$function$;
