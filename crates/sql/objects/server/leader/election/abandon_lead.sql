-- Purpose: releases the locks and closes the connections of a main() that ends.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: releases the two advisory locks of the leader.
create or replace function async.abandon_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  begin
    perform async.close_own_connections();
  exception when query_canceled or assert_failure or others then
    null;
  end;
  perform async.release_locks();
end
$function$;
