-- Purpose: async.get_tasks for the role that read in_ticket from async.caller, at a target within
--   in_within (null: any).
-- Returns: as async.get_tasks.
-- Raises: as async.get_tasks; insufficient_privilege for a ticket that is not that of the caller.
-- Locks: as async.get_tasks.
create or replace function async.pull_as(
  in_caller name, in_ticket bytea, in_target text, in_limit int, in_timeout interval, in_within async.scope_t)
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return query
      select f.task_id, f.priority, f.times_up, f.task_data
      from async.forward_get_tasks(in_caller, v_scope, in_target, in_limit, in_timeout) f;
    return;
  end if;
  perform async.check_pull(in_caller, v_scope, in_target);
  return query
    select t.out_task_id, t.out_priority, t.out_times_up, t.out_task_data
    from async.pull_tasks(in_target, in_limit, in_timeout) t;
end
$function$;
