-- Purpose: frees the slots of finished tasks whose sessions are known to be gone now: all in one statement, or, when
--   that fails, each by itself.
-- Returns: those that could not be written.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task, as long as lock_timeout. (No SET clause: triggers would inherit it.)
create or replace function async.lead_free_slots(in_ids bigint[], in_runs int[])
returns setof bigint
language plpgsql
as $function$
begin
  begin
    update async.task t set tracked = false
    from unnest(in_ids, in_runs) as i(task_id, run)
    where t.task_id = i.task_id and t.run = i.run and t.processed is not null and t.tracked;
    return;
  exception when assert_failure or others then
    null;
  end;
  for v_place in 1..cardinality(in_ids) loop
    begin
      update async.task t set tracked = false
      where t.task_id = in_ids[v_place] and t.run = in_runs[v_place] and t.processed is not null and t.tracked;
    exception when assert_failure or others then
      return next in_ids[v_place];
    end;
  end loop;
end
$function$;
