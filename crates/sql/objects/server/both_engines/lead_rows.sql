-- Purpose: the rows of tasks as the Rust engine keeps them, without their texts.
-- Returns: the rows that exist.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lead_rows(in_ids bigint[])
returns table (
  task_id bigint, priority int, entered timestamptz, pool text, target text, client_pulled bool,
  asynchronous_finish bool, track_yielded bool, manual_timeout interval, consumed timestamptz,
  processed timestamptz, yielded timestamptz, finish_status text, failed bool, processing_error text,
  times_up timestamptz, tracked bool, eligible_when timestamptz, run int, text_bytes int,
  run_at timestamptz, expires_at timestamptz, attempt int, retry text, receipt bool, ended_by text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select
    t.task_id, t.priority, t.entered, coalesce(t.concurrency_pool, t.target), t.target, t.query is null,
    coalesce(t.asynchronous_finish, false), coalesce(t.track_yielded, false), t.manual_timeout, t.consumed,
    t.processed, t.yielded, t.finish_status::text, t.failed, t.processing_error,
    t.times_up, t.tracked, t.eligible_when, t.run, coalesce(octet_length(t.query), 0), t.run_at, t.expires_at,
    coalesce(t.attempt, 0), t.retry::text, coalesce(t.receipt, false), t.ended_by
  from async.task t
  where t.task_id = any (in_ids);
end
$function$;
