-- Purpose: takes the notifications that have arrived in the watchdog session, which listens for
--   those of async.wake_leader. Needs no round trip.
-- Returns: their number.
-- Raises: nothing.
-- Locks: none.
create or replace function async.drain_notifications()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if 'pgasync_watchdog' = any (coalesce(public.dblink_get_connections(), '{}')) then
    return (select count(*)::int from public.dblink_get_notify('pgasync_watchdog'::text));
  end if;
  return 0;
end
$function$;
