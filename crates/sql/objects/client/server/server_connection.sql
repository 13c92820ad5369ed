-- Purpose: the connection string for calls to the server. Clients may not execute it, because it
--   contains the password.
-- Returns: the connection string, with a limit on the time of the connection attempt.
-- Raises: PA002 when no server is set.
-- Locks: none.
create or replace function async.server_connection() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_connection_string text;
begin
  select c.connection_string into v_connection_string from async.client_control c;
  if v_connection_string is null then
    raise exception 'this database is a client of a pgasync server, and does not know where its server is'
      using errcode = 'PA002', hint = 'An administrator sets it: select async.server(''host=... dbname=...'')';
  end if;
  return async.extend_conninfo(v_connection_string,
    '{"connect_timeout": "10"}' || async.parse_conninfo(v_connection_string));
end
$function$;
