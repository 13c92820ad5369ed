-- Purpose: the connection string to this server itself. A missing port, database or user is that of
--   this session.
-- Returns: text.
-- Raises: PA001 when the string cannot be parsed.
-- Locks: none.
create or replace function async.self_conninfo()
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_string text := (select c.self_connection_string from async.control c);
begin
  return async.extend_conninfo(v_string,
    jsonb_build_object('port', current_setting('port'), 'dbname', current_database(), 'user', session_user)
    || async.parse_conninfo(v_string));
end
$function$;
