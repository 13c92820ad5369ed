-- Purpose: lets the commit of this transaction wait for locks as long as it takes. A transaction that
--   notifies, which user triggers do, waits at its commit for the end of each such commit in the
--   cluster, also for its flush and its standby. A lock timeout there cannot be caught, so it would end
--   main(). Called after the last statement that may wait for another lock.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.wait_for_commit()
returns void
language plpgsql
as $function$
begin
  perform set_config('lock_timeout', '0', true);
end
$function$;
