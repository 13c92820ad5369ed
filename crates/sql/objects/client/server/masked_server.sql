-- Purpose: the connection string of the server, for roles that may not read
--   client_control.connection_string.
-- Returns: the connection string without its password.
-- Raises: nothing. Locks: none.
create or replace function async.masked_server() returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
  select async.mask_connection_string(c.connection_string) from async.client_control c
$function$;
