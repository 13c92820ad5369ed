-- Purpose: updates what belongs to a row that was written or not: its offer, the requests that the
--   event settles, and the released pool slot.
-- Returns: the outcome: null as predicted, 'rewritten' when a trigger or a request changed the row
--   in another way, 'gone', or in_outcome; and the present row.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.offer and async.request that it changes. The former are locked already.
create or replace function async.after_row(
  in_event async.event_t, in_outcome text, in_becomes async.task, in_was_tracked bool, in_diverged bool,
  in_asked bigint[], out outcome text, out is_now async.task
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_found bool;
  v_offered bool;
begin
  select t.* into is_now from async.task t where t.task_id = in_event.task_id;
  v_found := found;
  outcome := coalesce(in_outcome,
    case
      when not v_found then 'gone'
      when in_diverged
        or (is_now.consumed, is_now.processed, is_now.yielded, is_now.finish_status, is_now.failed,
            is_now.processing_error, is_now.times_up, is_now.tracked, is_now.eligible_when, is_now.run,
            is_now.attempt, is_now.ended_by)
          is distinct from
          (in_becomes.consumed, in_becomes.processed, in_becomes.yielded, in_becomes.finish_status, in_becomes.failed,
            in_becomes.processing_error, in_becomes.times_up, in_becomes.tracked, in_becomes.eligible_when,
            in_becomes.run, in_becomes.attempt, in_becomes.ended_by)
        then 'rewritten'
    end);
  if outcome = 'locked' then
    return;
  end if;
  v_offered := v_found and is_now.tracked and is_now.query is null
    and is_now.consumed is null and is_now.processed is null and is_now.yielded is null;
  if in_event.event = 'OFFER' and in_outcome is null and v_offered then
    insert into async.offer (task_id, target, pool, priority, entered, timeout)
    values (is_now.task_id, is_now.target, coalesce(is_now.concurrency_pool, is_now.target), is_now.priority,
      is_now.entered, in_event.timeout)
    on conflict (task_id) do nothing;
  elsif in_event.event in ('WITHDRAW', 'REQUEST', 'DEADLINE', 'TAKE') and v_offered is not true then
    delete from async.offer o where o.task_id = in_event.task_id;
  end if;
  if coalesce(in_event.requests, '{}') || coalesce(in_asked, '{}') <> '{}'
    and (outcome is distinct from 'rejected' or is_now.processed is not null) then
    delete from async.request r where r.request_id = any (in_event.requests || in_asked);
  end if;
  if in_outcome is null and in_was_tracked and is_now.tracked is not true then
    perform async.release_pools(array[coalesce(in_becomes.concurrency_pool, in_becomes.target)]);
  end if;
end
$function$;
