-- Purpose: the last epoch that began on another server than the epoch before. Sessions of earlier
--   epochs may belong to a server of which this one is a copy, so they are left alone until they
--   end.
-- Returns: an epoch, 0 when there is none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.last_moved_epoch()
returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(max(e.epoch), 0) from async.election e where e.moved
$function$;
