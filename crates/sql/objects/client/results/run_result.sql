-- Purpose: what async.run returns for a task that has ended.
-- Returns: the rows, as an array; null if none are kept. A warning (PA057) says that rows are missing.
-- Raises: the error of the task, with its SQLSTATE if it has one and else PA055; PA056 if the task
--   succeeded and its rows could not be stored.
-- Locks: none.
create or replace function async.run_result(in_task async.task) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_result async.result;
  v_code text;
begin
  if in_task.failed then
    -- The classes 00 to 02 are no errors.
    v_code := substring(in_task.processing_error from '^([0-9A-Z]{5}): ');
    if in_task.finish_status <> 'FAILED' or v_code ~ '^0[0-2]' then
      v_code := null;
    end if;
    raise exception using
      errcode = coalesce(v_code, 'PA055'),
      message = case when v_code is not null then split_part(substr(in_task.processing_error, 8), E'\nDETAIL: ', 1)
        else format('task %s is %s%s', in_task.task_id, in_task.finish_status,
          coalesce(': ' || in_task.processing_error, '')) end,
      detail = format('Task %s at the target %L is %s%s', in_task.task_id, in_task.target, in_task.finish_status,
        coalesce(': ' || in_task.processing_error, '.'));
  end if;
  select r.* into v_result from async.get_result(in_task.task_id) r;
  if v_result.task_id is not null and v_result.rows is null then
    raise exception 'task % succeeded, and its rows are not available: %', in_task.task_id, v_result.error
      using errcode = 'PA056', hint = 'What it changed is committed. Run it again only if that does no harm.';
  elsif v_result.truncated then
    raise warning 'task %: only % of % rows are returned: %', in_task.task_id, jsonb_array_length(v_result.rows),
        v_result.row_count, coalesce(v_result.error, 'the others exceed result_bytes_max')
      using errcode = 'PA057';
  end if;
  return v_result.rows;
end
$function$;
