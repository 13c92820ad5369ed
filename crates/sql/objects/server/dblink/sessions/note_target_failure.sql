-- Purpose: marks a target as down: its tasks wait, and a helper probes it again after a backoff.
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
begin
  update pg_temp.leader_target t
  set health = 'down', fresh = false, failures = t.failures + 1, last_error = in_error, wanted = 0,
      down_since = coalesce(t.down_since, clock_timestamp()),
      retry_at = clock_timestamp() + async.backoff(t.failures + 1, c_first, c_last, random())
  -- A further failure of a target that is down (a fence, another session) is not another attempt.
  where t.target = in_target and not (t.health = 'down' and t.retry_at > clock_timestamp())
  returning t.failures into v_failures;
  if v_failures = 1 then
    perform async.log_quiet('WARNING', format('target "%s" is lost: %s', in_target, in_error));
  end if;
end
$function$;
