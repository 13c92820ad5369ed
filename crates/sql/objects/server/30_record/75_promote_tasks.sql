-- Purpose: lets deferred tasks join the queue: all in one statement, or, when that fails, each by itself, so that a row
--   of which a trigger raises holds up no other.
-- Returns: those that could not be written, and why.
-- Raises: nothing.
-- Locks: the rows of async.task that it changes. (No SET clause: triggers would inherit it.)
create or replace function async.promote_tasks(in_ids bigint[])
returns table (out_task_id bigint, out_error text)
language plpgsql
as $function$
begin
  begin
    update async.task t set eligible_when = null where t.task_id = any (in_ids);
    return;
  exception when assert_failure or others then
    null;
  end;
  foreach out_task_id in array in_ids loop
    begin
      update async.task t set eligible_when = null where t.task_id = out_task_id;
    exception when assert_failure or others then
      out_error := sqlerrm;
      return next;
    end;
  end loop;
end
$function$;
