-- Purpose: the present row of a task that could not be written.
-- Returns: the row; null when there is none, or while the table is locked.
-- Raises: nothing.
-- Locks: none.
create or replace function async.present_row(in_task_id bigint)
returns async.task
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
as $function$
declare
  v_row async.task;
begin
  select t.* into v_row from async.task t where t.task_id = in_task_id;
  return v_row;
exception when lock_not_available then
  return null;
end
$function$;
