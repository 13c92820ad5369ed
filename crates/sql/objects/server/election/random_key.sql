-- Purpose: draws the key of an advisory lock that no session holds.
-- Returns: the key.
-- Raises: nothing.
-- Locks: none.
create or replace function async.random_key()
returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $function$
  select ('x' || left(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text), 16))::bit(64)::bigint
$function$;
