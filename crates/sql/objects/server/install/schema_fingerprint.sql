-- Purpose: which texts this schema was installed from (pgasync_sql::FINGERPRINT). Leaders and
--   binaries compare it with what they were made for, and end with a sentence when the schema was
--   replaced under them.
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
