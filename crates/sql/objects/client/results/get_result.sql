-- Purpose: the result of a task that was pushed with keep_result. It runs as the caller,
--   and the policy of async.result shows the rows that the caller may read.
-- Returns: at most one row.
-- Raises: nothing; on a client database the errors of async.forward.
-- Locks: none.
create or replace function async.get_result(_task_id bigint) returns setof async.result
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    return query select f.* from async.forward_get_result(_task_id) f;
  else
    return query select r.* from async.result r where r.task_id = _task_id;
  end if;
end
$function$;
