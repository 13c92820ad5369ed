-- Purpose: deletes the results of tasks that are no longer in async.task, because the upkeep or a user
--   deleted them. in_after and in_through are the positions of a step of the history.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it deletes.
create or replace function async.delete_results(in_after bigint, in_through bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from async.result r
  where r.task_id > in_after
    and (in_through is null or r.task_id <= in_through)
    and not exists (select from async.task t where t.task_id = r.task_id);
end
$function$;
