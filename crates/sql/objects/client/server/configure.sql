-- Purpose: changes settings, targets and pools as one document says, completely or not at all. On a
--   client database it changes those of the server.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060 for an invalid value, with its path in the document.
-- Locks: a table on which other calls of async.configure wait, and the rows that it
--   changes, until the end of the transaction.
create or replace function async.configure(_configuration jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if async.client_only() then
    perform async.forward(format('select async.configure(%L::jsonb)::text', _configuration));
  else
    perform async.apply_configuration(_configuration);
  end if;
end
$function$;
