-- Purpose: change settings, targets and pools from one document; on a client the server's. All of
--   it, or nothing.
-- Returns: nothing; a running leader follows.
-- Raises: PA060, naming the path in the document, for what cannot be; PA001 inside it for
--   connection strings.
-- Locks: other calls of configure wait; the rows it changes, until the end of the transaction.
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
