-- Purpose: finds broken sessions that libpq reports as busy although they have an error message:
--   the connection broke, perhaps between an error and the end of the query. The end of the query
--   has 400 ms to arrive.
-- Returns: the number of broken sessions.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.find_broken_sessions()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_end_arrives_within constant interval := '400 milliseconds';
  v_worker record;
  v_found int := 0;
begin
  for v_worker in
    select s.worker, s.state, s.outcome, s.target, s.conn, s.cleaning, s.broken_at
    from pg_temp.leader_worker s
    where case when s.state in ('identifying', 'running', 'cleaning') and public.dblink_is_busy(s.conn) = 1
      then coalesce(public.dblink_error_message(s.conn), 'OK') not in ('OK', '') else false end
  loop
    if v_worker.broken_at is null then
      update pg_temp.leader_worker s set broken_at = clock_timestamp() where s.worker = v_worker.worker;
      continue;
    elsif v_worker.broken_at > clock_timestamp() - c_end_arrives_within then
      continue;
    end if;
    v_found := v_found + 1;
    if v_worker.state <> 'running' then
      perform async.drop_session(v_worker.worker);
    elsif v_worker.cleaning then
      perform async.settle_reset(v_worker.worker, true, '08006', public.dblink_error_message(v_worker.conn));
    else
      if v_worker.outcome is null then
        perform async.note_query_error(v_worker.worker, '08006', public.dblink_error_message(v_worker.conn));
      end if;
      perform async.lose_session(v_worker.worker);
    end if;
  end loop;
  return v_found;
end
$function$;
