-- Purpose: restart_task on a server.
-- Returns: nothing.
-- Raises: PA030 unknown, PA031 unfinished, PA032 its session is not known to be gone, PA033 it has
--   nothing to run; what users' triggers raise.
-- Locks: the task's row, until the end of the transaction.
create or replace function async.restart_now(in_task_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.prepare_restart(in_task_id);
  perform from async.write_now(array[
    row(in_task_id, null, 'RESTART', clock_timestamp(), null, null, null, null, null, null)::async.event_t]);
  perform async.wake_leader();
end
$function$;
