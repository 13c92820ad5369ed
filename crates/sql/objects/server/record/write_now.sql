-- Purpose: the writer for a client's own transaction (restart_task): what users' triggers and
--   constraints raise fails the call, and deferred constraints are the client's commit's.
-- Returns: the tasks that did not take their events: outcome and error as write_events says.
-- Raises: what triggers and constraints raise.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.write_now(in_events async.event_t[])
returns table (task_id bigint, outcome text, error text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left async.event_t[] := in_events;
  v_event async.event_t;
  v_row record;
begin
  if not async.has_user_triggers() then
    v_left := async.write_events_at_once(in_events);
  end if;
  foreach v_event in array v_left loop
    v_row := async.write_row(v_event, null);
    if v_row.outcome is not null then
      task_id := v_event.task_id;
      outcome := v_row.outcome;
      error := v_row.error;
      return next;
    end if;
  end loop;
end
$function$;
