-- Purpose: the statement that prepares a session for async.void_query: it waits for locks for a limited
--   time, and its commits wait for no standby, which may be missing.
-- Returns: text; the statement returns one text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.void_settings() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select 'select pg_catalog.concat(pg_catalog.set_config(''lock_timeout'', ''2000'', false), '
    'pg_catalog.set_config(''synchronous_commit'', ''local'', false))'::text
$function$;
