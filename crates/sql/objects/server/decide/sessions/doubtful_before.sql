-- Purpose: sessions of epochs before this one may be another server's, of which this one is a copy: they are left alone
--   until they end.
-- Returns: an epoch, 0 when there is no such doubt.
-- Raises: nothing.
-- Locks: none.
create or replace function async.doubtful_before()
returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(max(e.epoch), 0) from async.election e where e.moved
$function$;
