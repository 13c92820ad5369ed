-- Purpose: the other half of async.wait_for_latch: the highest number that callers had drawn when
--   the cycle began.
-- Returns: the number; 0 when no call has drawn one.
-- Raises: nothing.
-- Locks: none. Sequences are not transactional, so a waiting caller need not commit.
create or replace function async.latch_number()
returns bigint
language plpgsql
as $function$
begin
  return (
    select case when r.is_called then r.last_value else 0 end from async.latch_requested r);
end
$function$;
