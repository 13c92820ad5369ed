-- Purpose: marks a target as down: its tasks wait, and a helper probes it again after a backoff.
--   Without a task the backoff does not grow, so the next task is not made to wait for it.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_target_failure(in_target text, in_error text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_first constant interval := '500 milliseconds';
  c_last constant interval := '10 seconds';
  v_failures int;
  v_wanted bool;
begin
  v_wanted := exists (select from pg_temp.leader_lane l where l.target = in_target and not l.pullable);
  update pg_temp.leader_target t
  set health = 'down', fresh = false, failures = t.failures + 1, last_error = in_error, wanted = 0,
      down_since = coalesce(t.down_since, clock_timestamp()),
      retry_at = clock_timestamp()
        + case when v_wanted then async.backoff(t.failures + 1, c_first, c_last, random()) else c_first end
  -- A further failure of a target that is down (a fence, another session) is not another attempt.
  where t.target = in_target and not (t.health = 'down' and t.retry_at > clock_timestamp())
  returning t.failures into v_failures;
  if v_failures = 1 then
    perform async.log_quiet('WARNING', format('target "%s" is lost: %s', in_target, in_error));
  end if;
end
$function$;
