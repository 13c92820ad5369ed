-- Purpose: whether tasks were noted that async.count_tasks should count now: after five seconds, or when
--   they are many.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.counting_is_due(in_all bool, in_now timestamptz) returns bool
language plpgsql
as $function$
declare
  c_every constant interval := '5 seconds';
  c_bytes_max constant int := 65536;
  v_bytes constant int := coalesce(length(current_setting('pgasync.started', true)), 0)
    + coalesce(length(current_setting('pgasync.ended', true)), 0);
begin
  if v_bytes = 0 then
    return false;
  end if;
  if v_bytes > c_bytes_max or in_all then
    return true;
  end if;
  return async.is_due('counted', c_every, in_now);
end
$function$;
