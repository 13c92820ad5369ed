-- Purpose: async.finish on a client database.
-- Returns: nothing. The warning of the server is raised here.
-- Raises: the errors of async.forward and of async.request_finish on the server.
-- Locks: none on this database.
create or replace function async.forward_finish(
  in_task_ids bigint[],
  in_status async.finish_status_t,
  in_error_message text,
  in_duration interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set intervalstyle = 'iso_8601'
as $function$
declare
  v_warning text;
begin
  select f.result into v_warning
  from async.forward(format(
    'select async.request_finish(%L::bigint[], %L::async.finish_status_t, %L, %L::interval)',
    in_task_ids, in_status, in_error_message, in_duration)) as f(result);
  if v_warning is not null then
    raise warning '%', v_warning using errcode = 'PA025';
  end if;
end
$function$;
