-- Purpose: whether a registered session is gone although the server that answers is not the one
--   with the start time that was registered: the same server was started again after the session
--   began; or, where a connection string names several hosts, a server that takes writes has taken
--   the old one's place on a later timeline. Anything else, such as another server behind the same
--   balancer, says nothing about the session.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_replaced(
  in_session async.session, in_started timestamptz, in_address text, in_port int, in_system_identifier text,
  in_timeline int, in_writable bool, in_many_hosts bool
) returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select
    (in_address, in_port, in_system_identifier) is not distinct from
        (in_session.server_address, in_session.server_port, in_session.system_identifier)
      and coalesce(in_started > in_session.backend_start, false)
    or in_many_hosts and coalesce(
      in_writable and in_system_identifier = in_session.system_identifier and in_timeline > in_session.timeline, false)
$function$;
