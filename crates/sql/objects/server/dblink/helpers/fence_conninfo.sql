-- Purpose: how to reach the server of a registered session, to end it there: as it was recorded or,
--   with in_present, as its target is reached now. Where the recorded string names no user, the
--   role that was there is meant.
-- Returns: text.
-- Raises: PA204 when the target has no connection string any more.
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
  return async.extend_conninfo(in_session.connection_string,
    jsonb_build_object('user', coalesce(async.parse_conninfo(in_session.connection_string) ->> 'user', in_session.role),
      'connect_timeout', in_connect_seconds::text,
      -- Under the recorded name this session would itself look like one of the leader that it is to
      -- end.
      'application_name', async.session_name('fence')));
end
$function$;
