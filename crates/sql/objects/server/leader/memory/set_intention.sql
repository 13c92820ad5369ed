-- Purpose: notes an intention for a launched query. A cancel, a timeout and a pause are sent at
--   once. With any other status the query has a grace period of 5 seconds to end by itself, because
--   it usually has committed already.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.set_intention(
  in_worker int, in_now timestamptz, in_status async.finish_status_t, in_error text, in_duration interval,
  in_requested_by text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_worker s
  set intention = in_status, intention_error = in_error, intention_duration = in_duration, intention_by = in_requested_by,
      cancel_at = least(s.cancel_at,
        in_now + case when in_status in ('CANCELED', 'TIMED_OUT', 'PAUSED') then interval '0' else interval '5 seconds' end)
  where s.worker = in_worker and async.intention_replaces(s.intention, s.intention_error, in_status);
end
$function$;
