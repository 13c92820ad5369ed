-- Purpose: the statement that closes the dblink connections of a session, which DISCARD ALL does not.
--   in_schema is the quoted schema of dblink at the target.
-- Returns: text; null when the target has no dblink.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_connections_query(in_schema text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format(
    'select pg_catalog.count(%1$s.dblink_disconnect(c)) from pg_catalog.unnest(%1$s.dblink_get_connections()) c',
    in_schema)
  where in_schema is not null
$function$;
