-- Purpose: closes a dblink connection in any state.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.close_session(in_conn text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
    perform public.dblink_disconnect(in_conn);
  end if;
exception when others then
  null;
end
$function$;
