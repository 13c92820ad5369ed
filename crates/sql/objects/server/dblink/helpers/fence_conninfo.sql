-- Purpose: the connection string to the server of a registered session, for its end: the recorded
--   one or, with in_present, the present one of its target. If the recorded string names no user,
--   the role of the session is used.
-- Returns: text.
-- Raises: PA204 when the target has no connection string, PA215 when its password is a reference.
-- Locks: none.
create or replace function async.fence_conninfo(in_session async.session, in_present bool, in_connect_seconds int)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_present and exists (select from async.target t where t.target = in_session.target) then
    return async.target_conninfo(in_session.target, 'fence', false, in_connect_seconds);
  end if;
  perform async.refuse_reference(in_session.connection_string, in_session.target);
  return async.extend_conninfo(in_session.connection_string,
    jsonb_build_object('user', coalesce(async.parse_conninfo(in_session.connection_string) ->> 'user', in_session.role),
      'connect_timeout', in_connect_seconds::text,
      -- With the recorded name, this session would look like a session of the leader that is to be
      -- ended.
      'application_name', async.session_name('fence')));
end
$function$;
