-- Purpose: closes what an earlier CALL in the same session left open.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_stale_sessions()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.close_session(n)
  from unnest(coalesce(public.dblink_get_connections(), '{}')) n
  where n like 'pgasync\_%';
end
$function$;
