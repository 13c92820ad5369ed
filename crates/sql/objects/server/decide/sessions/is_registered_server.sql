-- Purpose: whether the server that answers is the one that a session was registered at. Sessions
--   that an older version registered have no start time, and count as registered at any server.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_registered_server(
  in_session async.session, in_started timestamptz, in_system_identifier text
) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select in_session.server_started is null
    or in_started is not distinct from in_session.server_started
      and coalesce(in_system_identifier = in_session.system_identifier, true)
$function$;
