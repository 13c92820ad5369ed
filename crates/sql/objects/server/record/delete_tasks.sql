-- Purpose: deletes finished tasks from before a time, and checks deferred constraints (see
--   async.check_constraints).
-- Returns: the number of deleted rows.
-- Raises: the errors of user triggers and constraints.
-- Locks: the rows that it deletes. (The search path is control.trigger_search_path, which user
--   triggers inherit: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.delete_tasks(in_ids bigint[], in_before timestamptz, in_defer text)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_deleted int;
begin
  delete from async.task t
  where t.task_id operator(pg_catalog.=) any (in_ids)
    and t.processed operator(pg_catalog.<) in_before
    and t.tracked is not true;
  get diagnostics v_deleted := row_count;
  perform async.check_constraints(in_defer);
  return v_deleted;
end
$function$;
