-- Purpose: async.configure as a client database calls it on its server. Settings of the owner may
--   be changed if the caller owns the schema there, and the role that the client database connects
--   as owns it here.
-- Returns: nothing.
-- Raises: as async.configure.
-- Locks: as async.configure.
create or replace function async.configure_forwarded(in_configuration jsonb, in_may_be_owner bool) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.configure_as(c.caller, c.ticket, in_configuration, in_may_be_owner) from async.caller c;
end
$function$;
