-- Purpose: publishes that a cycle has ended that began after the given number was drawn.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.serve_latch(in_number bigint)
returns void
language plpgsql
as $function$
begin
  perform setval('async.latch_served', in_number) from async.latch_served s where s.last_value < in_number;
end
$function$;
