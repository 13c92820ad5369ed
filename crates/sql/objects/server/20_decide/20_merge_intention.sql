-- Purpose: which of two intentions for a running query stands: one that ends the task replaces one that does not;
--   the deadline's (TIMED_OUT without a message) gives way to whatever is asked for; otherwise the first stands.
-- Returns: true when the new one replaces the old one.
-- Raises: nothing.
-- Locks: none.
create or replace function async.intention_replaces(
  in_old async.finish_status_t,
  in_old_error text,
  in_new async.finish_status_t
) returns bool language sql immutable as $function$
  select in_new is not null and (
    in_old is null
    or in_old = 'TIMED_OUT' and in_old_error is null
    or in_old in ('DEFERRED', 'PAUSED', 'YIELDED') and in_new not in ('DEFERRED', 'PAUSED', 'YIELDED'))
$function$;

-- Purpose: the message of a request: one for TIMED_OUT always has one, so that it is not taken for the deadline's.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.request_message(in_status async.finish_status_t, in_error text)
returns text language sql immutable as $function$
  select case when in_status = 'TIMED_OUT' then coalesce(in_error, 'the task did not finish in time') else in_error end
$function$;
