-- Purpose: the tasks that are left alone now.
-- Returns: their ids.
-- Raises: nothing.
-- Locks: none.
create or replace function async.parked_tasks(in_now timestamptz)
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return array(select p.task_id from pg_temp.leader_parked p where p.until > in_now);
end
$function$;
