-- Purpose: the tasks that the last leader left to the next one: those that run or hold a pool slot.
--   For those that run, the launch marks say whether they were launched. Without the sentinel of
--   the marks every claimed task counts as launched. Of tasks with receipts, async.receipt says it.
-- Returns: the ids of the tasks, and whether they were launched.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_stock()
returns table (task_id bigint, launched bool)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
declare
  v_marks_hold bool;
begin
  select exists (select from async.launch_mark m where m.task_id = 0 and m.run = l.generation)
  into v_marks_hold from async.leader l;
  return query
  select t.task_id,
    case when t.receipt then exists (select from async.receipt r where r.task_id = t.task_id and r.run = t.run)
      else not v_marks_hold or exists (select from async.launch_mark m where m.task_id = t.task_id and m.run = t.run) end
  from async.running_rows() t;
  return query
  select k.task_id, false from async.tasks_without_query() k;
  -- Finished tasks whose session was not known to be gone. The row says so, because marks do not
  -- survive a crash.
  return query
  select t.task_id, true from async.task t where t.processed is not null and t.tracked;
end
$function$;
