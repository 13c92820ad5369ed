-- Purpose: delays the next attempt to write the row of a task after a failed attempt (a client
--   holds the row, or a trigger raised an error), and logs the error. A row that is only locked is
--   retried at least twice a second.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.back_off_task(in_id bigint, in_outcome text, in_error text, in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_first constant interval := '50 milliseconds';
  v_last constant interval := case in_outcome when 'failed' then '30 seconds' else '500 milliseconds' end;
  v_failures int;
begin
  insert into pg_temp.leader_backoff as p (task_id, until, failures)
  values (in_id, in_now + c_first, 1)
  on conflict (task_id) do update
  set failures = p.failures + 1, out_of_lane = true, until = in_now + async.backoff(p.failures + 1, c_first, v_last, random())
  returning p.failures into v_failures;
  -- At the first, second, fourth, eighth try, and so on.
  if in_outcome = 'failed' and v_failures & (v_failures - 1) = 0 then
    perform async.log_quiet('WARNING', format('task %s cannot be written (try %s): %s', in_id, v_failures, in_error));
  end if;
end
$function$;
