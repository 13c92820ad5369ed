-- Purpose: async.finish in the leader session, for routines and for triggers on async.task, also
--   while the leader records another completion. A task whose query runs gets a request, which the
--   leader applies like that of a client. Any other unfinished task changes at once. A finished one
--   does not change. In a trigger a null status means the status that the end of the query would
--   give: FINISHED, or YIELDED for a task that finishes asynchronously.
-- Returns: nothing.
-- Raises: PA201 outside of the leader session; PA202 for a null status outside of a trigger; PA203
--   for a deferral without a duration.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.finish_internal(
  _task_ids bigint[],
  _status async.finish_status_t,
  _context text,
  _error_message text,
  _duration interval
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_message constant text := async.cut_text(_error_message);
  v_events async.event_t[];
begin
  if not async.is_leader() then
    raise exception 'finish_internal belongs to the orchestrator''s own session'
      using errcode = 'PA201', hint = 'Call async.finish(...) instead';
  end if;
  if _status is null and pg_trigger_depth() = 0 then
    raise exception '%: a status is required', coalesce(_context, 'finish_internal')
      using errcode = 'PA202', hint = 'A null status has a meaning only in a trigger on async.task';
  end if;
  if _status = 'DEFERRED'::async.finish_status_t and _duration is null then
    raise exception '%: a deferral needs a duration', coalesce(_context, 'finish_internal')
      using errcode = 'PA203', hint = 'Pass the interval after which the task may run again';
  end if;

  insert into async.request (task_id, status, error_message, duration)
  select
    t.task_id,
    coalesce(_status,
      case when t.asynchronous_finish then 'YIELDED' else 'FINISHED' end::async.finish_status_t),
    v_message, _duration
  from async.task t
  where t.task_id = any (_task_ids)
    and t.processed is null and t.yielded is null and t.consumed is not null and t.query is not null
  order by t.task_id;

  v_events := array(
    select row(t.task_id, null, 'REQUEST', clock_timestamp(),
      coalesce(_status,
        case when t.asynchronous_finish then 'YIELDED' else 'FINISHED' end::async.finish_status_t),
      v_message, null, _duration, null, null, null, session_user)::async.event_t
    from async.task t
    where t.task_id = any (_task_ids)
      and t.processed is null and (t.yielded is not null or t.consumed is null or t.query is null)
    order by t.task_id);
  if v_events <> '{}' then
    perform async.note_changed_tasks(array(select e.task_id from unnest(v_events) e));
    -- Rows that a client holds get a request, like those of running queries. Constraints are not
    -- checked here: the caller, a trigger or a routine, may have more to change first.
    insert into async.request (task_id, status, error_message, duration)
    select w.task_id, e.status, e.message, e.duration
    from async.write_all(null, null, null, null, null, null, null, v_events, false) w
    join unnest(v_events) e on e.task_id = w.task_id
    where w.outcome = any (array['locked', 'failed']);
  end if;
end
$function$;

-- Purpose: async.finish_internal without a duration, for routines written for the original library.
-- Returns: nothing.
-- Raises: as async.finish_internal with a duration.
-- Locks: as async.finish_internal with a duration.
create or replace function async.finish_internal(
  _task_ids bigint[],
  _status async.finish_status_t,
  _context text,
  _error_message text
) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish_internal(_task_ids, _status, _context, _error_message, null::interval)
$function$;
