-- Purpose: drops the session of a worker that runs no query, or whose query is known to have ended.
--   The worker is empty afterwards.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the session's row of async.session.
create or replace function async.drop_session(in_worker int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_worker record;
begin
  select s.conn, s.session_id into v_worker from pg_temp.leader_worker s where s.worker = in_worker;
  perform async.close_session(v_worker.conn);
  perform async.unregister_sessions(array[v_worker.session_id]) where v_worker.session_id is not null;
  update pg_temp.leader_worker s
  set state = 'empty', target = null, conninfo = null, address = null, session_id = null, cleaning = false,
      result_read = false, dblink_schema = null, connections_closed = false, broken_at = null, unreachable = false,
      since = clock_timestamp()
  where s.worker = in_worker;
end
$function$;
