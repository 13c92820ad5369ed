-- Purpose: decides whether a failed attempt is retried, and after which delay. in_retry is the
--   policy in the row of the task, in_attempt the number of the attempt that failed. in_failure is
--   error (in_error begins with the SQLSTATE), reported (a request said FAILED), timeout,
--   unreachable (the query was never sent), unknown (the query may have committed) or unknown
--   timeout (both). The jitter is a hash of task_id and attempt, so that both engines compute the
--   same delay.
-- Returns: the delay; null if there is no further attempt.
-- Raises: nothing. A policy that was made invalid by hand retries nothing.
-- Locks: none.
create or replace function async.retry_delay(
  in_retry jsonb, in_task_id bigint, in_attempt int, in_failure text, in_error text
) returns interval
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_hash constant bigint := 2654435769;
  v_twice bool;
  v_unknown bool;
  v_timeouts bool;
  v_max numeric;
  v_thousandths numeric;
  v_delay numeric;
  v_hash bigint;
  v_us bigint;
begin
  v_twice := coalesce((in_retry ->> 'may_run_twice')::bool, false);
  v_unknown := coalesce((in_retry ->> 'unknown')::bool, false) and v_twice;
  v_timeouts := coalesce((in_retry ->> 'timeouts')::bool, false);
  if in_attempt >= coalesce((in_retry ->> 'max_attempts')::int, 0)
    -- In parentheses, because the condition ends with the first THEN outside of them.
    or not (case in_failure
      when 'error' then async.is_retried_sqlstate(in_retry -> 'sqlstates', substring(in_error from '^([0-9A-Z]{5}): '))
      when 'reported' then coalesce(in_retry -> 'sqlstates' ? 'reported', false)
      when 'timeout' then v_timeouts
      when 'unknown' then v_unknown
      when 'unknown timeout' then v_unknown and v_timeouts
      when 'unreachable' then coalesce((in_retry ->> 'unreachable')::bool, false)
      else false
    end)
    -- A part of the text may be committed.
    or in_failure <> 'unreachable' and not v_twice and coalesce((in_retry ->> 'commits')::bool, false)
  then
    return null;
  end if;
  v_delay := (in_retry ->> 'delay_us')::numeric;
  v_max := (in_retry ->> 'delay_max_us')::numeric;
  v_thousandths := coalesce((in_retry ->> 'backoff')::numeric, 1) * 1000;
  for v_place in 2 .. in_attempt loop
    exit when v_delay >= v_max or v_thousandths = 1000;
    v_delay := div(v_delay * v_thousandths, 1000);
  end loop;
  v_delay := least(v_delay, v_max);
  v_hash := ((((in_task_id & 1048575) * 2048 + in_attempt) * c_hash) & 4294967295) >> 16;
  v_us := v_delay - div(v_delay * coalesce((in_retry ->> 'jitter')::numeric, 0) * 1000 * v_hash, 65536000);
  return make_interval(hours => (v_us / 3600000000)::int, secs => (v_us % 3600000000)::float8 / 1000000);
exception
  when data_exception then
    return null;
end
$function$;
