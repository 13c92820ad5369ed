-- Purpose: records what became of tasks, for a leader in another process, and deletes the requests that are settled by
--   it. in_offered says which of them are held out to clients: their offers are taken back first.
-- Returns: one row a task: what apply_events says of it, and whether the row has to be read back, since a trigger may
--   have made something else of it.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one. (No SET clause: triggers would inherit it.)
create or replace function async.lead_record(
  in_now timestamptz,
  in_ids bigint[],
  in_runs int[],
  in_events text[],
  in_statuses text[],
  in_errors text[],
  in_durations interval[],
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
  for out_task_id, out_outcome, out_error in
    select a.task_id, a.outcome, a.error
    from async.apply_events(in_now, in_ids, in_runs, in_events::async.task_event_t[],
      in_statuses::async.finish_status_t[], in_errors, in_durations, null) a
  loop
    -- Of a row that did not take the event a request stands, unless the task is over.
    if out_outcome in ('locked', 'failed') or out_outcome = 'rejected'
      and exists (select from async.lead_rows(array[out_task_id]) r where r.processed is null) then
      v_unwritten := v_unwritten || out_task_id;
    end if;
    out_read_back := v_triggers or out_outcome = 'rejected';
    return next;
  end loop;
  if in_requests <> '{}' then
    delete from async.request r
    where r.request_id = any (array(
      select s.request_id from unnest(in_requests, in_requests_of) as s(request_id, task_id)
      where s.task_id <> all (v_unwritten)));
  end if;
end
$function$;

-- Purpose: frees the slots of finished tasks whose sessions are known to be gone now.
-- Returns: nothing.
-- Raises: what triggers raise.
-- Locks: the rows of async.task, as long as lock_timeout. (No SET clause: triggers would inherit it.)
create or replace function async.lead_release(in_ids bigint[], in_runs int[])
returns void
language plpgsql
as $function$
begin
  update async.task t set tracked = false
  from unnest(in_ids, in_runs) as i(task_id, run)
  where t.task_id = i.task_id and t.run = i.run and t.processed is not null and t.tracked;
end
$function$;
