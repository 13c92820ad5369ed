-- Purpose: resets finished tasks to READY, as async.restart_task does, in the order of their ids. On a
--   client database each task is restarted in a transaction of its own.
-- Returns: nothing.
-- Raises: as async.restart_task, for the first task that cannot be restarted. Then none is restarted.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.restart(_task_ids bigint[]) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_task(i.task_id)
  from (select distinct u.task_id from unnest(_task_ids) as u(task_id) order by u.task_id) i;
end
$function$;
