-- Purpose: drops sessions whose identity or whose answer to the reset has been missing for long, so
--   that a target that accepts connections and does not answer keeps no workers.
-- Returns: the number of sessions.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.drop_silent_sessions()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_answer_max constant interval := '10 seconds';
  v_worker record;
  v_dropped int := 0;
begin
  for v_worker in
    select s.worker, s.target from pg_temp.leader_worker s
    where s.state in ('identifying', 'cleaning') and s.since < clock_timestamp() - c_answer_max
    order by s.worker
  loop
    perform async.drop_session(v_worker.worker);
    perform async.note_session_failure(v_worker.target,
      'it accepted the connection and has not answered for 10 seconds');
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end
$function$;
