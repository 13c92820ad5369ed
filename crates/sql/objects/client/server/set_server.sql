-- Purpose: sets the connection string of the server. async.server(text) calls it. For
--   administrators.
-- Returns: nothing.
-- Raises: PA001 when the string cannot be parsed or its password is a mask.
-- Locks: the row of client_control, until the end of the transaction.
create or replace function async.set_server(in_connection_string text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.check_connection_string(in_connection_string);
  update async.client_control set connection_string = in_connection_string;
end
$function$;
