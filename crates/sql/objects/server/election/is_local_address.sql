-- Purpose: whether an address does not identify a host: a Unix socket (null) or a loopback address.
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
