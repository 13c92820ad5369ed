-- Purpose: changes settings, targets and pools as one document says, completely or not at all. On a
--   client database it changes those of the server. It runs as the caller, whose role async.caller
--   proves to async.configure_as.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060 for an invalid value, PA084 for a setting that only the owner may change, with its
--   path in the document.
-- Locks: a table on which other calls of async.configure wait, and the rows that it
--   changes, until the end of the transaction.
create or replace function async.configure(_configuration jsonb) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.configure_as(c.caller, c.ticket, _configuration, true) from async.caller c;
end
$function$;
