-- Purpose: runs a query with one text column on the server, which commits it on its own. Clients
--   may not execute it, only the calls that use it. in_query must be built with format and %L only.
-- Returns: the values of the column.
-- Raises: PA002 when no server is set, PA003 when the server cannot be reached, PA005 when it does not
--   have what the query calls, and the errors that the query raises on the server.
-- Locks: none on this database.
create or replace function async.forward(in_query text) returns setof text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_connection text := async.server_connection();
  v_detail text;
begin
  return query select r.result from public.dblink(v_connection, in_query) as r(result text);
exception
  when sqlclient_unable_to_establish_sqlconnection then
    get stacked diagnostics v_detail = pg_exception_detail;
    raise exception 'the pgasync server cannot be reached: %', async.mask_text(v_detail)
      using errcode = 'PA003', hint = 'async.server() shows where this database looks for its server.';
  when sqlstate '2F003' then
    -- dblink lets only a superuser connect without a password.
    raise exception 'the pgasync server cannot be reached: %', sqlerrm
      using errcode = 'PA003', hint = 'An administrator names a password in async.server(...), and lets the server ask for it.';
  when undefined_function or undefined_table or undefined_object then
    -- An object of a user, which a trigger on the server misses, has another name.
    if strpos(sqlerrm, 'async.') = 0 then
      raise;
    end if;
    raise exception 'the pgasync server is older than this client database: %', sqlerrm
      using errcode = 'PA005', hint = 'The owner of the server upgrades it. Nothing was changed.';
end
$function$;
