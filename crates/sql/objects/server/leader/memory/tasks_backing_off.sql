-- Purpose: the tasks in backoff, whose rows are not to be written yet.
-- Returns: their ids.
-- Raises: nothing.
-- Locks: none.
create or replace function async.tasks_backing_off(in_now timestamptz)
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return array(select p.task_id from pg_temp.leader_backoff p where p.until > in_now);
end
$function$;
