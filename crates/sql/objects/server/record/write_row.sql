-- Purpose: applies one event to its task: the completion is written while tracked is still true, a
--   second statement releases the pool slot, and the row is read back, because triggers may have
--   changed it. With in_defer (see async.defer_constraints) deferred constraints are checked now.
-- Returns: the outcome: null as predicted, 'rewritten', 'rejected' (with the reason), 'locked',
--   'gone'; and the present row.
-- Raises: the errors of triggers and constraints.
-- Locks: the row; never waits for it. (The search path is control.trigger_search_path, which user
--   triggers inherit: see async.bind_trigger_path. Every name and operator is qualified.)
create or replace function async.write_row(
  in_event async.event_t, in_defer text, out outcome text, out error text, out is_now async.task
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_next record;
  v_after record;
begin
  v_next := async.next_row(in_event);
  if v_next.outcome is null then
    -- Before the end, so that triggers find it.
    if in_event.result is not null
      and ((v_next.becomes).processed is not null or (v_next.becomes).yielded is not null)
    then
      perform async.write_results(array[in_event]);
    end if;
    update async.task t
    set consumed = (v_next.becomes).consumed, processed = (v_next.becomes).processed,
        yielded = (v_next.becomes).yielded, finish_status = (v_next.becomes).finish_status,
        failed = (v_next.becomes).failed, processing_error = (v_next.becomes).processing_error,
        times_up = (v_next.becomes).times_up,
        tracked = case when v_next.settles and (v_next.becomes).processed is not null then t.tracked
          else (v_next.becomes).tracked end,
        eligible_when = (v_next.becomes).eligible_when, run = (v_next.becomes).run,
        attempt = (v_next.becomes).attempt, ended_by = (v_next.becomes).ended_by,
        arrived = case
          when (v_next.becomes).consumed is null and (v_next.becomes).processed is null
            and (v_next.becomes).yielded is null
          then pg_catalog.txid_current() else t.arrived end
    where t.task_id operator(pg_catalog.=) in_event.task_id;
    if (v_next.noted).task_id is not null then
      insert into async.attempt (task_id, run, attempt, began, ended, status, error, ended_by)
      select (v_next.noted).*;
    end if;
    -- A trigger may have yielded the completion, or finished the task with another status.
    if v_next.settles then
      update async.task t
      set tracked = case when t.processed is not null then false end
      where t.task_id operator(pg_catalog.=) in_event.task_id and t.tracked
        and (t.processed is not null or t.consumed is null and t.yielded is null
          or t.yielded is not null and t.track_yielded is not true);
    end if;
    perform async.check_constraints(in_defer);
  end if;
  v_after := async.after_row(in_event, v_next.outcome, v_next.becomes, v_next.was_tracked, v_next.diverged, v_next.asked);
  outcome := v_after.outcome;
  error := v_next.error;
  is_now := v_after.is_now;
end
$function$;
