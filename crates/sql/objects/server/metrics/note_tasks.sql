-- Purpose: notes tasks that the SQL engine has started or ended, for async.count_tasks. They are noted in a
--   setting of the session, without a statement: a plain task pays nothing for the counters. A rollback
--   undoes it.
-- Returns: the setting.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_tasks(in_what text, in_ids bigint[]) returns text
language plpgsql
as $function$
declare
  -- Only if async.count_tasks has failed for long.
  c_bytes_max constant int := 1000000;
begin
  if coalesce(cardinality(in_ids), 0) = 0
    or length(current_setting('pgasync.' || in_what, true)) > c_bytes_max
  then
    return null;
  end if;
  return set_config('pgasync.' || in_what,
    coalesce(current_setting('pgasync.' || in_what, true), '') || array_to_string(in_ids, ',') || ',', false);
end
$function$;
