-- Purpose: the writer for the transaction of a client (async.restart_task). Errors of user triggers
--   and constraints fail the call. Deferred constraints are checked at the commit of the client.
-- Returns: the tasks to which their events were not applied, with outcome and error as in
--   async.write_events.
-- Raises: the errors of triggers and constraints.
-- Locks: the rows of async.task; waits up to lock_timeout for one, unless the caller holds it
--   already.
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
