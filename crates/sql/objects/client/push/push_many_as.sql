-- Purpose: async.push_many for the role that read in_ticket from async.caller, at targets within
--   in_within (null: any).
-- Returns: as async.push_many.
-- Raises: as async.push_many; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.push_many.
create or replace function async.push_many_as(
  in_caller name,
  in_ticket bytea,
  in_tasks jsonb,
  in_within async.scope_t) returns table (task_id bigint, duplicate bool)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return query select f.task_id, f.duplicate from async.forward_push_many(in_caller, v_scope, in_tasks) f;
  else
    return query select p.task_id, p.duplicate from async.push_many_now(in_caller, v_scope, in_tasks) p;
  end if;
end
$function$;
