-- Purpose: ask that unfinished tasks end with a status, or come back after a while (DEFERRED). The
--   leader does it once the caller has committed; in the leader's own session it is done at once.
-- Returns: nothing, without waiting. Ids that do not exist or are finished are named in a warning.
-- Raises: PA020 a null status, PA021 DEFERRED without a duration, PA022 a negative duration.
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

-- Purpose: ask that unfinished tasks end with a status. See the other finish.
-- Returns: nothing, without waiting.
-- Raises:  as the other finish.
-- Locks:   none that others wait for.
create or replace function async.finish(
  _task_ids bigint[],
  _status async.finish_status_t,
  _error_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.finish(_task_ids, _status, _error_message, null::interval)
$function$;
