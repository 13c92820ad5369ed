-- Purpose: async.get_result on a client database.
-- Returns: as async.get_result.
-- Raises: the errors of async.forward.
-- Locks: none on this database.
create or replace function async.forward_get_result(in_task_id bigint) returns setof async.result
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select r.*
    from async.forward(format('select pg_catalog.to_jsonb(r)::text from async.get_result(%L) r', in_task_id))
        as f(result),
      jsonb_populate_record(null::async.result, f.result::jsonb) r;
end
$function$;
