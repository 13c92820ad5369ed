-- Purpose: closes all dblink connections of pgasync in this session.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_own_connections()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.close_session(n)
  from unnest(coalesce(public.dblink_get_connections(), '{}')) n
  where n like E'pgasync\\_%';
end
$function$;
