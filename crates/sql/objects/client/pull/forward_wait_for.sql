-- Purpose: async.wait_for on a client database. It asks the server in calls of a second, so that the
--   caller can be canceled.
-- Returns: as async.wait_for.
-- Raises: PA052, PA053; the errors of async.forward.
-- Locks: none on this database.
create or replace function async.forward_wait_for(in_task_ids bigint[], in_until timestamptz) returns setof async.task
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left interval;
  v_wanted constant bigint := (select count(distinct i) from unnest(in_task_ids) i);
  v_ended bigint;
begin
  loop
    v_left := least(greatest(in_until - clock_timestamp(), '0'), '1 second');
    select f.result::bigint into v_ended
    from async.forward(format(
      'select pg_catalog.count(*)::text from async.wait_for(%L::bigint[], %L)', in_task_ids,
      extract(epoch from coalesce(v_left, '0'))::text || ' seconds')) as f(result);
    exit when v_ended >= v_wanted or coalesce(v_left, '0') = '0';
  end loop;
  return query
    select t.*
    from async.forward(format(
        'select pg_catalog.to_jsonb(t)::text from async.wait_for(%L::bigint[], ''0'') t', in_task_ids)) as f(result),
      jsonb_populate_record(null::async.task, f.result::jsonb) t
    -- As in async.push_tasks.
    where true or exists (select from async.task);
end
$function$;
