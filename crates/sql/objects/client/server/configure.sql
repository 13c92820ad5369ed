-- Purpose: change settings, targets and pools from one document; on a client the server's. All of
--   it, or nothing.
-- Returns: nothing; a running leader follows.
-- Raises: PA060, naming the path in the document, for what cannot be; PA001 inside it for
--   connection strings; PA084, naming the path, for a setting that only the owner may change.
-- Locks: other calls of configure wait; the rows it changes, until the end of the transaction.
--
-- Runs as the caller, whose role async.caller proves to configure_as. Nothing in here may depend on
-- the caller's path.
create or replace function async.configure(_configuration jsonb) returns void
language plpgsql security invoker
as $function$
begin
  perform async.configure_as(c.caller, c.ticket, _configuration, true) from async.caller c;
end
$function$;
