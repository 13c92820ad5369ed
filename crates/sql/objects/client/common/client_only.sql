-- Purpose: whether this database is a client database, whose calls are forwarded to its server.
-- Returns: true on a client database, false on a server.
-- Raises: nothing. Locks: none.
create or replace function async.client_only() returns bool
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
-- Not in SQL, whose functions are planned in each call: every call of a client calls it.
begin
  return (select c.client_only from async.client_control c);
end
$function$;
