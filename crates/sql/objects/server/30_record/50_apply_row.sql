-- Purpose: applies one event to one task, with users' triggers looking on: the completion is written while tracked
--   is still true, a second statement releases the slot, and the row is read back, since triggers may have
--   rewritten it. An end also heeds what a trigger asked of the same task a moment ago.
-- Returns: 'applied', 'rejected', 'locked' or 'gone', and the pool whose slot was released.
-- Raises: what triggers and constraints raise.
-- Locks: the row; never waits for it. (No SET clause: the triggers would inherit it.)
create or replace function async.apply_row(
  in_now timestamptz,
  in_id bigint,
  in_run int,
  in_event async.task_event_t,
  in_status async.finish_status_t,
  in_error text,
  in_duration interval,
  in_timeout interval,
  out outcome text,
  out released text
)
language plpgsql
as $function$
declare
  v_next record;
  v_request record;
  v_status async.finish_status_t := in_status;
  v_error text := in_error;
  -- Of the intention that stands.
  v_message text := in_error;
  v_duration interval := in_duration;
begin
  if in_event in ('END_OK', 'END_ERROR', 'END_UNKNOWN') then
    for v_request in
      select r.request_id, r.status, r.error_message, r.duration
      from async.request r where r.task_id = in_id order by r.request_id
    loop
      delete from async.request r where r.request_id = v_request.request_id;
      if async.intention_replaces(v_status, v_message, v_request.status) then
        v_status := v_request.status;
        v_message := async.request_message(v_request.status, v_request.error_message);
        v_error := async.end_error(in_event, v_status, v_message, in_error);
        v_duration := v_request.duration;
      end if;
    end loop;
  end if;
  select * into v_next
  from async.next_rows(
    in_now, array[in_id], array[in_run], array[in_event], array[v_status], array[v_error],
    array[v_duration], array[in_timeout]);
  if not found then
    perform from async.task t where t.task_id = in_id;
    outcome := case when found then 'locked' else 'gone' end;
    return;
  end if;
  if v_next.rejected is not null then
    outcome := 'rejected';
    return;
  end if;
  update async.task t
  set consumed = v_next.consumed, processed = v_next.processed, yielded = v_next.yielded,
      finish_status = v_next.finish_status, failed = v_next.failed,
      processing_error = v_next.processing_error, times_up = v_next.times_up,
      tracked = case when v_next.processed is not null then t.tracked else v_next.tracked end,
      eligible_when = v_next.eligible_when, run = v_next.run
  where t.task_id = in_id;
  -- Read back what became of it: a trigger may have yielded a completion, or finished it in another way.
  if in_event not in ('CLAIM', 'OFFER', 'TAKE', 'UNREACHABLE') then
    update async.task t
    set tracked = case when t.processed is not null then false end
    where t.task_id = in_id and t.tracked
      and (t.processed is not null or t.consumed is null and t.yielded is null
        or t.yielded is not null and t.track_yielded is not true);
  end if;
  outcome := 'applied';
  perform from async.task t where t.task_id = in_id and t.tracked;
  released := case when v_next.was_tracked and not found then v_next.pool end;
end
$function$;
