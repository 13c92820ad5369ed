-- Purpose: notes that a session at a target was opened, which ends a series of failed sessions.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_session_opened(in_target text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_target t
  set failures = 0, session_failures = 0, down_since = null, last_error = null
  where t.target = in_target and t.session_failures > 0;
  if found then
    perform async.log_quiet('NOTICE', format('target "%s" is back', in_target));
  end if;
end
$function$;
