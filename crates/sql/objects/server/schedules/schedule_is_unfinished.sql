-- Purpose: whether a task of a schedule at a target has not finished. A task that waits for its next
--   attempt has not.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.schedule_is_unfinished(in_schedule text, in_target text) returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  return exists (
    select from async.task t
    where t.schedule = in_schedule and t.target = in_target and t.schedule is not null and t.processed is null);
end
$function$;
