-- Purpose: whether a registered session is gone although a server with another start time answers:
--   the same server was started after the session; or, if the connection string names several
--   hosts, a writable server on a later timeline has replaced the old one. Any other server, such
--   as one behind the same load balancer, proves nothing.
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
