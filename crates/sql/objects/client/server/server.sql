-- Purpose: reads the connection string of the server of this client database. With an argument,
--   sets it first.
-- Returns: the connection string, without its password unless the caller may read the column.
-- Raises: PA001 when the new string cannot be parsed, PA004 when the caller may not set it,
--   PA084 when only the owner may write this string.
-- Locks: the row of client_control, when it is set.
create or replace function async.server(_new_connection_string text default null) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if _new_connection_string is not null then
    if not has_function_privilege('async.set_server_as(name, bytea, text)', 'execute') then
      raise exception '% may not set where the server is', current_user
        using errcode = 'PA004', hint = 'The owner of the schema async grants it: select async.grant_admin(...)';
    end if;
    perform async.set_server_as(c.caller, c.ticket, _new_connection_string) from async.caller c;
  end if;
  if has_column_privilege('async.client_control', 'connection_string', 'select') then
    return (select c.connection_string from async.client_control c);
  end if;
  return async.masked_server();
end
$function$;
