-- Purpose: decides what a time of a schedule does at a target. in_unfinished: a task of the schedule at
--   the target has not finished. in_waiting: another time of the schedule waits there.
-- Returns: push; wait (for the end of the task); replace (cancel the task, and wait instead of the times
--   that wait); skip.
-- Raises: nothing.
-- Locks: none.
create or replace function async.decide_overlap(in_overlap text, in_unfinished bool, in_waiting bool) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_overlap = 'allow_all' then 'push'
    when in_overlap = 'cancel_other' then case when in_unfinished then 'replace' else 'push' end
    when not in_unfinished and not in_waiting then 'push'
    when in_overlap = 'buffer_all' or in_overlap = 'buffer_one' and not in_waiting then 'wait'
    else 'skip'
  end
$function$;
