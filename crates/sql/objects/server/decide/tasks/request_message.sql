-- Purpose: the message of a request. A request with TIMED_OUT always has one, which distinguishes
--   it from the deadline.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.request_message(in_status async.finish_status_t, in_error text)
returns text language sql immutable as $function$
  select case when in_status = 'TIMED_OUT' then coalesce(in_error, 'the task did not finish in time') else in_error end
$function$;
