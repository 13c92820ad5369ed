-- Purpose: notes whether a session with a target is a session of this database itself, as a member
--   of the owner of the schema: its server started when this server did, and its pid is known here.
--   Such a target counts as the server itself. async.check_target refuses pushes to it by what is
--   noted here. The self target needs no note.
-- Returns: whether it is.
-- Raises: nothing.
-- Locks: the row of the target in async.target_at_self.
create or replace function async.note_session_at_self(
  in_target text, in_pid int, in_backend_start timestamptz, in_server_started timestamptz)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_at_self bool := false;
begin
  if in_server_started = pg_postmaster_start_time() then
    -- The statistics may be those of the beginning of the transaction.
    perform pg_stat_clear_snapshot();
    v_at_self := exists (
      select
      from pg_stat_get_activity(in_pid) a
      cross join pg_namespace n
      where n.nspname = 'async'
        and a.datid = (select d.oid from pg_database d where d.datname = current_database())
        -- It is null for a role that may not read it.
        and (a.backend_start = in_backend_start or a.backend_start is null)
        and pg_has_role(a.usesysid, n.nspowner, 'member'));
  end if;
  if v_at_self then
    insert into async.target_at_self as s (target, connection_string)
    select t.target, t.connection_string
    from async.target t
    cross join async.control c
    where t.target = in_target and t.target <> c.self_target and t.connection_string is not null
    on conflict (target) do update set connection_string = excluded.connection_string, noticed = excluded.noticed
    where s.connection_string <> excluded.connection_string;
  else
    delete from async.target_at_self s where s.target = in_target;
  end if;
  return v_at_self;
end
$function$;
