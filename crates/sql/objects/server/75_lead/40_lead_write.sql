-- Purpose: writes what became of tasks and which are claimed, for a leader in another process, and deletes the requests
--   that are settled by it. in_offered says which of the tasks are held out to clients: their offers are taken back
--   first.
-- Returns: nothing for a task that took its event with nobody looking on. For every other one what apply_events says of
--   it ('rejected' also for a claim of which a trigger made something else), and whether the row has to be read back.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one. (No SET clause: triggers would inherit it.)
create or replace function async.lead_write(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events text[],
  in_statuses text[],
  in_errors text[],
  in_durations interval[],
  in_timeouts interval[],
  in_offered bigint[],
  in_requests bigint[],
  in_requests_of bigint[]
) returns table (out_task_id bigint, out_outcome text, out_error text, out_read_back bool)
language plpgsql
as $function$
declare
  v_triggers constant bool := async.has_user_triggers();
  v_unwritten bigint[] := '{}';
begin
  if in_offered <> '{}' then
    perform async.withdraw_offers(in_offered);
  end if;
  if v_triggers or not async.apply_all(in_now, in_ids, in_runs, in_events::async.task_event_t[],
      in_statuses::async.finish_status_t[], in_errors, in_durations, in_timeouts) then
    for out_task_id, out_outcome, out_error, out_read_back in
      select a.task_id, a.outcome, a.error, in_events[array_position(in_ids, a.task_id)] <> 'CLAIM'
      from async.apply_events(in_now, in_ids, in_runs, in_events::async.task_event_t[],
        in_statuses::async.finish_status_t[], in_errors, in_durations, in_timeouts) a
    loop
      -- Of a row that did not take the event a request stands, unless the task is over.
      if out_outcome in ('locked', 'failed') or out_outcome = 'rejected'
        and exists (select from async.lead_rows(array[out_task_id]) r where r.processed is null) then
        v_unwritten := v_unwritten || out_task_id;
      end if;
      if not out_read_back and out_outcome = 'applied' and v_triggers
        and not exists (select from async.claimed_rows(array[out_task_id])) then
        out_outcome := 'rejected';
      end if;
      out_read_back := out_read_back and (v_triggers or out_outcome = 'rejected');
      if out_outcome <> 'applied' or out_read_back then
        return next;
      end if;
    end loop;
  end if;
  if in_requests <> '{}' then
    delete from async.request r
    where r.request_id = any (array(
      select s.request_id from unnest(in_requests, in_requests_of) as s(request_id, task_id)
      where s.task_id <> all (v_unwritten)));
  end if;
end
$function$;
