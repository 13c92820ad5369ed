-- Purpose: the statement that closes the dblink connections which a task has left open in a session:
--   they are no part of what DISCARD ALL resets. in_schema has dblink there, and is quoted.
-- Returns: text; null where the target has no dblink.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_links_query(in_schema text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format(
    'select pg_catalog.count(%1$s.dblink_disconnect(c)) from pg_catalog.unnest(%1$s.dblink_get_connections()) c',
    in_schema)
  where in_schema is not null
$function$;
