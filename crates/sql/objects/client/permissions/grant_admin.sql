-- Purpose: lets a role do what a client may do, configure, set the server, pause (update
--   async.control), register routines, write to the log, and read the log and the views. Connection
--   strings stay unreadable. For the owner of the schema.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: as async.change_privileges.
create or replace function async.grant_admin(role name) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.change_privileges($1, 'admin', true)
$function$;
