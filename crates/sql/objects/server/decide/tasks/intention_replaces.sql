-- Purpose: which of two intentions for a running query counts: one that ends the task replaces one
--   that does not; any request replaces the deadline (TIMED_OUT without a message); otherwise the
--   first counts.
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
