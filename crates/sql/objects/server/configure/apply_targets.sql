-- Purpose: makes the given list the configured targets, besides the self target: changes, adds and
--   revives targets, and retires the others.
-- Returns: nothing.
-- Raises: nothing. The document was checked.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_targets(in_targets jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_retired text;
begin
  update async.target t set
    max_concurrency = coalesce(e.max_workers, e.max_concurrency, t.max_concurrency),
    connection_string = coalesce(e.connection_string, t.connection_string),
    asynchronous_finish = coalesce(e.asynchronous_finish, t.asynchronous_finish),
    default_timeout = coalesce(e.default_timeout, t.default_timeout),
    max_sessions = coalesce(e.max_sessions, t.max_sessions),
    concurrency_track_yielded = coalesce(e.concurrency_track_yielded, t.concurrency_track_yielded),
    session_reset = coalesce(e.session_reset, t.session_reset),
    receipts = coalesce(e.receipts, t.receipts),
    tags = coalesce(e.tags, t.tags),
    default_retry = coalesce(e.default_retry, t.default_retry),
    paused = coalesce(e.paused, t.paused),
    retired = coalesce(e.retired, false)
  from jsonb_to_recordset(in_targets) as e(target text, max_concurrency int, max_workers int, connection_string text,
    asynchronous_finish bool, default_timeout interval, max_sessions int, concurrency_track_yielded bool,
    session_reset bool, receipts bool, tags text[], default_retry text, paused bool, retired bool)
  where t.target = e.target;

  insert into async.target (target, max_concurrency, connection_string, asynchronous_finish, default_timeout,
    max_sessions, concurrency_track_yielded, session_reset, receipts, tags, default_retry, paused, retired)
  select e.target, coalesce(e.max_workers, e.max_concurrency, 8), e.connection_string,
    coalesce(e.asynchronous_finish, false), e.default_timeout, e.max_sessions,
    coalesce(e.concurrency_track_yielded, false), coalesce(e.session_reset, true), coalesce(e.receipts, false),
    coalesce(e.tags, '{}'), e.default_retry, coalesce(e.paused, false), coalesce(e.retired, false)
  from jsonb_to_recordset(in_targets) as e(target text, max_concurrency int, max_workers int, connection_string text,
    asynchronous_finish bool, default_timeout interval, max_sessions int, concurrency_track_yielded bool,
    session_reset bool, receipts bool, tags text[], default_retry text, paused bool, retired bool)
  where not exists (select from async.target t where t.target = e.target);

  with retired as (
    update async.target t set retired = true
    where not t.retired
      and t.target <> (select c.self_target from async.control c)
      and not exists (select from jsonb_array_elements(in_targets) e where e ->> 'target' = t.target)
    returning t.target
  )
  select string_agg(quote_ident(r.target), ', ' order by r.target) into v_retired from retired r;
  if v_retired is not null then
    raise notice 'the document leaves out these targets, which are retired now: %', v_retired
      using hint = 'async.set_target changes one target and leaves the others as they are.';
  end if;
end
$function$;
