-- Purpose: the retry policy of a task as its row keeps it, so that a later change of the
--   configuration does not change the task. What is absent is false, no jitter (0), or no growth of
--   the delay (1).
-- Returns: jsonb; null if there is no such policy, and for the name none.
-- Raises: nothing. Locks: none.
create or replace function async.copy_retry_policy(in_name text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select jsonb_strip_nulls(jsonb_build_object(
      'name', p.retry_policy,
      'max_attempts', p.max_attempts,
      'delay_us', round(extract(epoch from p.delay)::numeric * 1000000)::bigint,
      'backoff', nullif(p.backoff, 1),
      'delay_max_us', round(extract(epoch from p.delay_max)::numeric * 1000000)::bigint,
      'jitter', nullif(p.jitter, 0),
      'sqlstates', to_jsonb(p.sqlstates),
      'timeouts', nullif(p.timeouts, false),
      'unreachable', nullif(p.unreachable, false),
      'unknown', nullif(p.unknown, false),
      'may_run_twice', nullif(p.may_run_twice, false)))
    from async.retry_policy p
    where p.retry_policy = in_name);
end
$function$;
