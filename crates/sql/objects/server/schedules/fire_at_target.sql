-- Purpose: pushes the task of a schedule, unless that is refused. An error that may pass by itself is
--   raised, so that the time stays due.
-- Returns: the id of the task (null: refused, or a trigger kept the row out), and the refusal.
-- Raises: an error of a class in c_passing.
-- Locks: as async.push_scheduled.
create or replace function async.fire_at_target(
  in_schedule async.schedule, in_owner name, in_scope async.scope_t, in_target text, in_time timestamptz, in_defer text,
  out out_task_id bigint, out out_refusal text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  out_task_id := async.push_scheduled(in_schedule, in_owner, in_scope, in_target, in_time, in_defer);
exception when assert_failure or others then
  if async.is_passing_error(sqlstate) then
    raise;
  end if;
  out_task_id := null;
  out_refusal := async.describe_refusal(sqlstate, sqlerrm);
end
$function$;
