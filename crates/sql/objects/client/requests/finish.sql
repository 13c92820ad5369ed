-- Purpose: requests that unfinished tasks end with a status, or return to the queue (DEFERRED after
--   a duration, PAUSED). The leader applies the request after the commit of the caller. A call in
--   the leader session takes effect in its own transaction.
-- Returns: nothing. It does not wait. A warning (PA025) names ids that do not exist or are
--   finished.
-- Raises: PA020 for a null status, PA021 for DEFERRED without a duration, PA022 for a negative
--   duration or one above 10000 years. In the leader session, as async.finish_internal.
-- Locks: none that others wait for.
create or replace function async.finish(
  _task_ids bigint[],
  _status async.finish_status_t,
  _error_message text,
  _duration interval) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_warning text;
begin
  if async.client_only() then
    perform async.forward_finish(_task_ids, _status, _error_message, _duration);
  elsif async.is_leader() then
    perform async.finish_internal(_task_ids, _status, 'async.finish', _error_message, _duration);
  else
    v_warning := async.request_finish(_task_ids, _status, _error_message, _duration);
    if v_warning is not null then
      raise warning '%', v_warning using errcode = 'PA025';
    end if;
  end if;
end
$function$;

-- Purpose: requests that unfinished tasks end with a status. See the other async.finish.
-- Returns: nothing. It does not wait.
-- Raises: as the other async.finish.
-- Locks: none that others wait for.
create or replace function async.finish(
  _task_ids bigint[],
  _status async.finish_status_t,
  _error_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, _status, _error_message, null::interval)
$function$;
