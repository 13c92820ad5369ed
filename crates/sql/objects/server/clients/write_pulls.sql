-- Purpose: writes the events of async.get_tasks: in one statement, or row by row where users have
--   triggers or that statement raises. Deferred constraints of async.task are checked here, because
--   at the commit of the client they would fail the call for all tasks.
-- Returns: the tasks whose rows raised an error.
-- Raises: serialization failures and deadlocks, for the caller. A warning for each row that raised
--   an error.
-- Locks: the rows of async.task, which the caller holds already.
create or replace function async.write_pulls(in_events async.event_t[])
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_check constant text := async.constraints_of_tasks('immediate');
  v_defer constant text := async.constraints_of_tasks('deferred');
  v_left async.event_t[] := in_events;
  v_event async.event_t;
  v_refused bigint[] := '{}';
begin
  if not async.has_user_triggers() then
    begin
      v_left := async.write_events_at_once(in_events);
    exception
      when serialization_failure or deadlock_detected then raise;
      when assert_failure or others then
        v_left := in_events;
    end;
  end if;
  foreach v_event in array v_left loop
    begin
      perform async.write_row(v_event, null);
      if v_check is not null then
        perform async.check_constraints(v_defer, v_check);
      end if;
    exception
      when serialization_failure or deadlock_detected then raise;
      when assert_failure or others then
        v_refused := array_append(v_refused, v_event.task_id);
        raise warning 'the task % cannot be taken: %', v_event.task_id, sqlerrm;
    end;
  end loop;
  return v_refused;
end
$function$;
