-- Purpose: parses a libpq connection string of either form.
-- Returns: the settings, an object of texts; null for null.
-- Raises: PA001 when libpq would refuse the form of the string.
-- Locks: none.
create or replace function async.parse_conninfo(in_conninfo text) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_conninfo ~ '^postgres(ql)?://' then async.parse_conninfo_uri(in_conninfo)
    else async.parse_conninfo_pairs(in_conninfo)
  end
$function$;
