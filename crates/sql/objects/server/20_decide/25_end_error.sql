-- Purpose: the error that goes with a query's end (event END_OK, END_ERROR or END_UNKNOWN), given the intention that
--   stood, if any, with its message, and what is known of the query itself.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.end_error(
  in_event async.task_event_t,
  in_status async.finish_status_t,
  in_message text,
  in_known text
) returns text language sql immutable as $function$
  select case
    when in_status is null then in_known
    -- Nobody confirmed the cancel: it may have come too late.
    when in_event = 'END_UNKNOWN' and in_status = 'CANCELED' then concat_ws(E'\n', in_message, in_known)
    -- Nor the pause, and then the task fails.
    when in_event = 'END_UNKNOWN' and in_status = 'PAUSED' then in_known
    else in_message
  end
$function$;
