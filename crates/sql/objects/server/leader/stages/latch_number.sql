-- Purpose: wait_for_latch's other half: up to which number callers had asked when the cycle began.
-- Returns: that number (0: none ever did).
-- Raises: nothing.
-- Locks: none: sequences are not transactional, so a waiting caller need not commit.
create or replace function async.latch_number()
returns bigint
language plpgsql
as $function$
begin
  return (
    select case when r.is_called then r.last_value else 0 end from async.latch_requested r);
end
$function$;
