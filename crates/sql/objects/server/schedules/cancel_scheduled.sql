-- Purpose: asks the leader to cancel the unfinished tasks of a schedule at a target, as async.cancel
--   does, once.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.cancel_scheduled(in_schedule text, in_target text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  insert into async.request (task_id, status, error_message, requested_by)
  select t.task_id, 'CANCELED', format('canceled: the schedule %L fires again', in_schedule), null
  from async.task t
  where t.schedule = in_schedule and t.target = in_target and t.schedule is not null and t.processed is null
    and not exists (select from async.request r where r.task_id = t.task_id and r.status = 'CANCELED')
  order by t.task_id;
end
$function$;
