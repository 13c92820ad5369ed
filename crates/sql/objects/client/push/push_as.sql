-- Purpose: async.push_tasks for the role that read in_ticket from async.caller, at targets within
--   in_within (null: any).
-- Returns: one row for each element, in the order of the array.
-- Raises: as async.push_tasks; PA01C for a source that is too long; insufficient_privilege for a
--   ticket that is not that of the caller.
-- Locks: as async.wake_leader. It does not wait. (The search
--   path is control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path.
--   Every name and operator is qualified.)
create or replace function async.push_as(
  in_caller name,
  in_ticket bytea,
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_source text,
  in_within async.scope_t) returns setof async.task
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := async.scope_of(in_caller, in_ticket, in_within);
begin
  if async.client_only() then
    return query
      select f.* from async.forward_push(in_caller, v_scope, in_tasks, in_run_type, in_source) f
      -- As in async.push_tasks.
      where true or exists (select from async.task);
    return;
  elsif pg_catalog.octet_length(in_source) operator(pg_catalog.>) async.name_bytes_max() then
    perform async.refuse_source(in_source);
  end if;
  return query
    insert into async.task (target, priority, entered, consumed, processed, finish_status, source, query, failed,
        asynchronous_finish, task_data, concurrency_pool, manual_timeout, track_yielded, pushed_by, may_reach_self,
        retry, attempt)
    select p.out_target, p.out_priority, p.out_entered, p.out_processed, p.out_processed, p.out_finish_status,
      in_source, p.out_query, p.out_failed, p.out_asynchronous_finish, p.out_task_data, p.out_concurrency_pool,
      p.out_manual_timeout, p.out_track_yielded, p.out_pushed_by, p.out_may_reach_self,
      p.out_retry, case when p.out_retry is not null then 0 end
    from async.prepare_push(in_caller, v_scope, in_tasks, in_run_type) p
    order by p.out_position
    returning *;
  perform async.wake_leader();
end
$function$;
