-- Purpose: whether an idle connection is still open. A close by the other side arrives by itself,
--   so the check needs no round trip.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.session_is_alive(in_conn text)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    -- The first call may read only the last message of a terminated backend, the second one the end
    -- of the connection.
    select public.dblink_is_busy(in_conn) + public.dblink_is_busy(in_conn) = 0
      and coalesce(public.dblink_error_message(in_conn), 'OK') = 'OK');
end
$function$;
