-- Purpose: notes that the leader has read results of a session and not found their end. libpq keeps in
--   memory what arrives meanwhile, and moves it at each call, so results without end must be given up
--   early. Large results take long as well, but not to receive at the end. The target of a
--   session that is given up has blocked the leader, and shares the account of async.note_blocked_time.
-- Returns: whether the session may send more results. Otherwise it has to be ended.
-- Raises: nothing.
-- Locks: none.
create or replace function async.may_send_more(in_worker int, in_results int, in_receiving interval)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_noted constant interval := '1 second';
  v_may bool;
  v_target text;
begin
  update pg_temp.leader_worker s
  set results_left = s.results_left - in_results, receiving_left = s.receiving_left - in_receiving
  where s.worker = in_worker
  returning s.results_left >= 0 and s.receiving_left >= interval '0', s.target into v_may, v_target;
  if not v_may then
    perform async.note_blocked_time(c_noted);
    update pg_temp.leader_target t set reads_slowly = true where t.target = v_target;
  end if;
  return v_may;
end
$function$;
