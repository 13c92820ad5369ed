-- Purpose: notes that receipts cannot be deleted at their target. The next attempt comes later.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.postpone_receipts() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause constant interval := '10 minutes';
begin
  perform set_config('pgasync.receipts_after', (clock_timestamp() + c_pause)::text, false);
end
$function$;
