-- Purpose: declares that a session that cannot be ended is gone, or need not be waited for. It
--   counts as gone from then on, and the tasks that wait for it end. For the owner and
--   administrators.
-- Returns: nothing.
-- Raises: PA214 when async.v_lost_session does not show the session.
-- Locks: the session's row of async.session.
create or replace function async.write_off_session(_session_id bigint)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_session async.session;
begin
  update async.session s set written_off = true, written_off_by = session_user
  where s.session_id = _session_id and s.lost_since is not null
  returning s.* into v_session;
  if not found then
    raise exception 'session % is not lost', coalesce(_session_id::text, 'null')
      using errcode = 'PA214', hint = 'select * from async.v_lost_session shows those that are';
  end if;
  perform async.log_quiet('WARNING', format('session %s (backend %s at target "%s") was written off by %s',
    v_session.session_id, v_session.pid, v_session.target, session_user));
  perform async.wake_leader();
end
$function$;
