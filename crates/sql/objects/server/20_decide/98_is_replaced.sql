-- Purpose: whether a registered session is gone although the server that answers is not the one with the start time that
--   was registered: the same server was started again after the session began; or, where a connection string names
--   several hosts, a server that takes writes has taken the old one's place on a later timeline. Anything else, such as
--   another server behind the same balancer, says nothing about the session.
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

-- Purpose: whether the server that answers is the one that a session was registered at; a session that an older version
--   registered did not say.
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

-- Purpose: sessions of epochs before this one may be another server's, of which this one is a copy: they are left alone
--   until they end.
-- Returns: an epoch, 0 when there is no such doubt.
-- Raises: nothing.
-- Locks: none.
create or replace function async.doubtful_before()
returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select coalesce(max(e.epoch), 0) from async.election e where e.moved
$function$;
