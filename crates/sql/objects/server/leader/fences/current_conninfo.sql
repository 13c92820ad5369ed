-- Purpose: the present connection string of a target.
-- Returns: text; null when the target does not exist or has no connection string.
-- Raises: nothing.
-- Locks: none.
create or replace function async.current_conninfo(in_target text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case when t.target = c.self_target then async.self_conninfo() else t.connection_string end
  from async.target t cross join async.control c
  where t.target = in_target
$function$;
