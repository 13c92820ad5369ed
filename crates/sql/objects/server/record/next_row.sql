-- Purpose: locks the task of an event and computes the new row. The end of a query includes
--   requests that a trigger made for the same task meanwhile. An event that ends an offer locks the
--   offer first.
-- Returns: outcome null and the new row; or 'locked' (another transaction holds the row or its
--   offer), 'gone', 'rejected' (with the reason). settles: whether a second statement releases the
--   pool slot, after triggers have seen the completion. diverged: whether the requests in asked
--   changed the result of the event. noted: the attempt that ended, for async.attempt.
-- Raises: lock_not_available while the table is locked.
-- Locks: the row of async.task and its offer, until the transaction ends; never waits for a row.
-- (Longer than a screen: its checks share the row that it locked.)
create or replace function async.next_row(
  in_event async.event_t,
  out outcome text, out error text, out becomes async.task, out was_tracked bool, out settles bool,
  out diverged bool, out asked bigint[], out noted async.attempt
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
as $function$
declare
  v_event async.event_t := in_event;
  v_request record;
  v_step record;
begin
  diverged := false;
  asked := '{}';
  if in_event.event in ('WITHDRAW', 'REQUEST', 'DEADLINE', 'TAKE') then
    perform from async.offer o where o.task_id = in_event.task_id for update skip locked;
    if not found then
      perform from async.offer o where o.task_id = in_event.task_id;
      if found then
        outcome := 'locked';
        return;
      end if;
    end if;
  end if;
  select t.* into becomes from async.task t where t.task_id = in_event.task_id for no key update skip locked;
  if not found then
    perform from async.task t where t.task_id = in_event.task_id;
    outcome := case when found then 'locked' else 'gone' end;
    return;
  end if;
  if in_event.run <> becomes.run then
    outcome := 'rejected';
    error := format('the task is on run %s, this is about run %s', becomes.run, in_event.run);
    return;
  end if;
  if in_event.event in ('END_OK', 'END_ERROR', 'END_UNKNOWN') then
    for v_request in
      select r.request_id, r.status, r.error_message, r.duration, r.requested_by
      from async.request r
      where r.task_id = in_event.task_id and r.request_id <> all (coalesce(in_event.requests, '{}'))
      order by r.request_id
    loop
      asked := asked || v_request.request_id;
      if async.intention_replaces(v_event.status, v_event.message, v_request.status) then
        v_event.status := v_request.status;
        v_event.message := async.request_message(v_request.status, v_request.error_message);
        v_event.duration := v_request.duration;
        v_event.requested_by := v_request.requested_by;
        diverged := true;
      end if;
    end loop;
  end if;
  select s.* into v_step
  from async.step_task(becomes, v_event.event, v_event.status, v_event.message, v_event.known, v_event.duration,
    v_event.timeout, v_event.requested_by, v_event.at) s;
  if v_step.rejected is not null then
    outcome := 'rejected';
    error := v_step.rejected;
    return;
  end if;
  was_tracked := becomes.tracked;
  if v_step.ended_as is not null then
    noted := row(becomes.task_id, becomes.run, becomes.attempt + 1, becomes.consumed, v_event.at, v_step.ended_as,
      v_step.ended_with, v_step.attempt_ended_by);
  end if;
  settles := in_event.event not in ('CLAIM', 'OFFER', 'TAKE', 'UNREACHABLE', 'RELEASE');
  becomes.consumed := v_step.consumed;
  becomes.processed := v_step.processed;
  becomes.yielded := v_step.yielded;
  becomes.finish_status := v_step.finish_status;
  becomes.failed := v_step.failed;
  becomes.processing_error := v_step.processing_error;
  becomes.times_up := v_step.times_up;
  becomes.tracked := v_step.tracked;
  becomes.eligible_when := v_step.eligible_when;
  becomes.run := v_step.run;
  becomes.attempt := v_step.attempt;
  becomes.ended_by := v_step.ended_by;
end
$function$;
