-- Purpose: async.restart_task for several tasks: all of them, or none.
-- Returns: nothing.
-- Raises: as async.restart_task, with the first task that cannot be restarted.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.restart(_task_ids bigint[]) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.restart_as(c.caller, c.ticket, _task_ids, null) from async.caller c;
end
$function$;
