-- Purpose: frees the slots of finished tasks whose sessions are known to be gone now.
-- Returns: nothing.
-- Raises: what triggers raise.
-- Locks: the rows of async.task, as long as lock_timeout. (No SET clause: triggers would inherit it.)
create or replace function async.lead_release(in_ids bigint[], in_runs int[])
returns void
language plpgsql
as $function$
begin
  update async.task t set tracked = false
  from unnest(in_ids, in_runs) as i(task_id, run)
  where t.task_id = i.task_id and t.run = i.run and t.processed is not null and t.tracked;
end
$function$;
