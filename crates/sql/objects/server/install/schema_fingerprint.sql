-- Purpose: the fingerprint of the texts that this schema was installed from
--   (pgasync_sql::FINGERPRINT). Leaders and binaries compare it with their own, and end with PA213
--   when another version was installed.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.schema_fingerprint()
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select '@FINGERPRINT@'::text
$function$;
