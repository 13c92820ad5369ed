-- Purpose: whether an address says nothing about the host: that of a Unix socket (null), or of a
--   host's loopback.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_local_address(in_address text)
returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(in_address in ('::1', '127.0.0.1') or in_address like '127.%', true)
$function$;
