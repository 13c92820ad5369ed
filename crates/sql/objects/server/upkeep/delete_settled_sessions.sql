-- Purpose: removes the sessions from the registry that are gone and stayed there for a receipt
--   (async.unregister_sessions).
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it deletes.
create or replace function async.delete_settled_sessions() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform from async.session s where s.settled limit 1;
  if found then
    perform async.unregister_sessions(array(select s.session_id from async.session s where s.settled));
  end if;
end
$function$;
