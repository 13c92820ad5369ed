-- Purpose: pushes tasks in the transaction of the caller, and wakes the leader if it sleeps. On a
--   client database the server pushes the tasks and commits on its own.
-- Returns: one row for each element, in the order of the array. The ids grow in the same order.
-- Raises: PA010 to PA01B for an element that cannot be accepted. Then nothing is pushed.
-- Locks: a shared advisory lock, until the end of the transaction. It does not wait. (The search
--   path is control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path.
--   Every name and operator is qualified.)
create or replace function async.push_tasks(
  _tasks async.task_push_t[],
  _run_type async.task_run_type_t default 'EXECUTE',
  _source text default null) returns setof async.task
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    return query select f.* from async.forward_push(_tasks, _run_type, _source) f;
    return;
  end if;
  return query
    insert into async.task (target, priority, entered, consumed, processed, finish_status, source, query, failed,
        asynchronous_finish, task_data, concurrency_pool, manual_timeout, track_yielded)
    select p.out_target, p.out_priority, p.out_entered, p.out_processed, p.out_processed, p.out_finish_status,
      _source, p.out_query, p.out_failed, p.out_asynchronous_finish, p.out_task_data, p.out_concurrency_pool,
      p.out_manual_timeout, p.out_track_yielded
    from async.prepare_push(_tasks, _run_type) p
    order by p.out_position
    returning *;
  perform async.wake_leader();
end
$function$;
