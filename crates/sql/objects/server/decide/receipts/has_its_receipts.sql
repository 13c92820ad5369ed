-- Purpose: whether the server that answers certainly has the receipts of a session: it is the one at which
--   the session was registered, or has the same system identifier. An unknown identifier proves nothing.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.has_its_receipts(
  in_session async.session, in_started timestamptz, in_system_identifier text
) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(in_system_identifier = in_session.system_identifier, in_started = in_session.server_started, false)
$function$;
