-- Purpose: writes the results that come with events. The caller writes the ends of these tasks in the
--   same transaction.
-- Returns: nothing.
-- Raises: the errors of constraints and triggers on async.result.
-- Locks: the rows of async.result.
create or replace function async.write_results(in_events async.event_t[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_bytes_max constant int := (select c.result_bytes_max from async.control c);
  v_event async.event_t;
  v_result record;
begin
  foreach v_event in array in_events loop
    v_result := async.read_result(v_event.result, v_bytes_max);
    insert into async.result (task_id, run, row_count, rows, truncated, bytes, error)
    select t.task_id, coalesce(v_event.run, t.run), v_result.row_count, v_result.rows, v_result.truncated,
      v_result.bytes, v_result.error
    from async.task t where t.task_id = v_event.task_id
    on conflict (task_id) do update
    set run = excluded.run, row_count = excluded.row_count, rows = excluded.rows, truncated = excluded.truncated,
        bytes = excluded.bytes, error = excluded.error;
    if v_result.error is not null then
      perform async.log_quiet('WARNING', format('task %s: not all of its rows are kept: %s', v_event.task_id,
        v_result.error));
    end if;
  end loop;
end
$function$;
