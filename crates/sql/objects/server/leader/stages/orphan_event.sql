-- Purpose: the event for a task of a lost leader, with the requests for it. in_resolved, in_known and in_result
--   are what is known by its receipt.
-- Returns: the event.
-- Raises: nothing.
-- Locks: none.
create or replace function async.orphan_event(
  in_id bigint, in_run int, in_launched bool, in_recorded bool, in_target text, in_now timestamptz,
  in_resolved text, in_known text, in_result text
) returns async.event_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_event async.event_t;
  v_request record;
begin
  v_event.task_id := in_id;
  v_event.run := in_run;
  v_event.at := in_now;
  if not in_launched then
    v_event.event := 'GIVE_BACK';
    v_event.timeout := (
      select coalesce(g.default_timeout, c.default_timeout)
      from async.control c left join async.target g on g.target = in_target);
    return v_event;
  end if;
  v_event.event := case when in_recorded then 'RELEASE' when in_resolved = 'ok' then 'END_OK'
    when in_resolved = 'error' then 'END_ERROR' else 'END_UNKNOWN' end;
  if in_resolved is distinct from 'ok' then
    v_event.known := coalesce(in_known, 'outcome unknown: the orchestrator was lost while the query ran');
  end if;
  v_event.result := in_result;
  v_event.requests := '{}';
  for v_request in select r.* from async.request r where r.task_id = in_id order by r.request_id loop
    v_event.requests := v_event.requests || v_request.request_id;
    if async.intention_replaces(v_event.status, v_event.message, v_request.status) then
      v_event.status := v_request.status;
      v_event.message := async.request_message(v_request.status, v_request.error_message);
      v_event.duration := v_request.duration;
      v_event.requested_by := v_request.requested_by;
    end if;
  end loop;
  return v_event;
end
$function$;
