-- Purpose: registers target sessions of the Rust engine. A session that was registered before the
--   loss of the leader session is not registered again.
-- Returns: the id of each session, and whether it is a session at this database itself (see
--   async.note_session_at_self).
-- Raises: datetime_field_overflow or invalid_datetime_format for an invalid time.
-- Locks: the rows of the targets in async.target_at_self.
create or replace function async.lead_register(in_epoch bigint, in_sessions async.registration_t[])
returns table (pid int, target text, session_id bigint, at_self bool)
language sql
set search_path = pg_catalog, pg_temp
as $function$
  with given as (
    select s.slot, s.target, s.connection_string, s.role, s.pid, s.backend_start::timestamptz as backend_start,
      s.server_started::timestamptz as server_started, s.server_address, s.server_port, s.system_identifier,
      s.timeline
    from unnest(in_sessions) s
  ), there as (
    select s.pid, s.target, s.session_id, s.at_self
    from async.session s
    join given g on g.target = s.target and g.pid = s.pid and g.backend_start = s.backend_start
    where s.epoch = in_epoch
  ), added as (
    insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start, server_started,
      server_address, server_port, system_identifier, timeline, at_self)
    select in_epoch, g.*,
      async.note_session_at_self(g.target, g.pid, g.backend_start, g.server_started)
    from given g
    where not exists (select from there t where t.target = g.target and t.pid = g.pid)
    returning pid, target, session_id, at_self
  )
  select t.pid, t.target, t.session_id, t.at_self from there t
  union all
  select a.pid, a.target, a.session_id, a.at_self from added a
$function$;
