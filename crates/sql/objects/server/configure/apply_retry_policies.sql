-- Purpose: makes the given list the retry policies: changes, adds and removes policies. Tasks keep
--   the copies that they have.
-- Returns: nothing.
-- Raises: nothing. The document was checked.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_retry_policies(in_policies jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  insert into async.retry_policy (retry_policy)
  select e.value ->> 'retry_policy' from jsonb_array_elements(in_policies) e
  on conflict (retry_policy) do nothing;

  update async.retry_policy p set
    max_attempts = n.max_attempts,
    delay = n.delay,
    backoff = n.backoff,
    delay_max = n.delay_max,
    jitter = n.jitter,
    sqlstates = n.sqlstates,
    timeouts = n.timeouts,
    unreachable = n.unreachable,
    unknown = n.unknown,
    may_run_twice = n.may_run_twice
  from async.retry_policy o
  join jsonb_array_elements(in_policies) e on e.value ->> 'retry_policy' = o.retry_policy
  cross join lateral jsonb_populate_record(o, jsonb_strip_nulls(e.value)) n
  where p.retry_policy = o.retry_policy and n.* is distinct from o.*;

  delete from async.retry_policy p
  where not exists (select from jsonb_array_elements(in_policies) e where e.value ->> 'retry_policy' = p.retry_policy);
end
$function$;
