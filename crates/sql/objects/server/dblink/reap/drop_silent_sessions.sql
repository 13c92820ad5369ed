-- Purpose: drops sessions whose identity or whose answer to the reset has been missing for long, so
--   that a target that accepts connections and does not answer keeps no workers. The first session of
--   a target is dropped sooner when another target waits for a worker.
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
  c_answer_max_if_others_wait constant interval := '2 seconds';
  v_others_wait constant bool :=
    (select count(*) from pg_temp.leader_worker s where s.state <> 'empty' and not s.unreachable)
      >= (select c.workers from async.control c)
    and exists (select from pg_temp.leader_target t where t.wanted > 0);
  v_worker record;
  v_dropped int := 0;
begin
  for v_worker in
    select s.worker, s.target
    from pg_temp.leader_worker s
    left join pg_temp.leader_target t on t.target = s.target
    where s.state in ('identifying', 'cleaning')
      and s.since < clock_timestamp() - case when v_others_wait and s.state = 'identifying' and t.identified is not true
        then c_answer_max_if_others_wait else c_answer_max end
    order by s.worker
  loop
    perform async.drop_session(v_worker.worker);
    perform async.note_session_failure(v_worker.target, 'it accepted the connection and did not answer');
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end
$function$;
