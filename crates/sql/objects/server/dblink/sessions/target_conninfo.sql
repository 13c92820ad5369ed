-- Purpose: the connection string for a session at a target: the configured one (completed for the
--   server itself) with the name of the session, keepalives and a limit on the connection attempt. A
--   target that does not read loses its session after tcp_user_timeout, which libpq has from 12 on.
--   The encoding is a part of the string, because a reset would undo a SET, and dblink sets it once.
-- Returns: text.
-- Raises: PA204 when the target has no connection string, PA215 when its password is a reference.
-- Locks: none.
create or replace function async.target_conninfo(
  in_target text, in_role text, in_startup_options bool, in_connect_seconds int
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conninfo text;
  v_given jsonb;
begin
  select case when t.target = c.self_target then async.self_conninfo() else t.connection_string end
  into v_conninfo
  from async.target t cross join async.control c
  where t.target = in_target;
  if v_conninfo is null then
    raise exception 'target "%" has no connection string', in_target
      using errcode = 'PA204', hint = 'Give it one with async.configure';
  end if;
  perform async.refuse_reference(v_conninfo, in_target);
  v_given := async.parse_conninfo(v_conninfo);
  return async.extend_conninfo(v_conninfo,
    jsonb_build_object(
      'application_name', async.session_name(in_role),
      'connect_timeout', in_connect_seconds::text,
      'keepalives', '1', 'keepalives_idle', '30', 'keepalives_interval', '10', 'keepalives_count', '3',
      'client_encoding', getdatabaseencoding())
    || case when current_setting('server_version_num')::int >= 120000
      then jsonb_build_object('tcp_user_timeout', coalesce(nullif(v_given ->> 'tcp_user_timeout', '0'), '5000'))
      else '{}'
    end
    || case when in_startup_options
      then jsonb_build_object('options',
        concat_ws(' ', v_given ->> 'options', '-c client_connection_check_interval=5s'))
      else '{}'
    end);
end
$function$;
