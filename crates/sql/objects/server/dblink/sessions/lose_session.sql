-- Purpose: marks the session of a worker as lost while its query ran. The worker stays taken until
--   a second connection has seen that the session is gone.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lose_session(in_worker int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_worker record;
begin
  update pg_temp.leader_worker s
  set state = 'lost', outcome = 'lost', since = clock_timestamp(),
      error = coalesce(s.error,
        format('outcome unknown: the connection to target "%s" was lost while the query ran', s.target))
  where s.worker = in_worker
  returning s.conn, s.session_id, s.target into v_worker;
  perform async.close_session(v_worker.conn);
  insert into pg_temp.leader_fence (session_id, target) values (v_worker.session_id, v_worker.target)
  on conflict do nothing;
end
$function$;
