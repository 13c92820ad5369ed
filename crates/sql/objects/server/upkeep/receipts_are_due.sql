-- Purpose: whether old receipts are to be deleted at a target (async.old_receipts). It looks once in ten
--   seconds. The time is a setting of the session of the upkeep.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.receipts_are_due(in_now timestamptz) returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_every constant interval := '10 seconds';
begin
  if nullif(current_setting('pgasync.receipts_after', true), '')::timestamptz > in_now then
    return false;
  end if;
  perform set_config('pgasync.receipts_after', (in_now + c_every)::text, false);
  return exists (select from async.old_receipts(in_now));
end
$function$;
