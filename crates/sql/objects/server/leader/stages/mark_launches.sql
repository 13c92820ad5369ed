-- Purpose: marks the launches of all claimed tasks (see async.write_marks).
-- Returns: the number of marks.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
create or replace function async.mark_launches()
returns int
language plpgsql
as $function$
declare
  v_claimed record;
begin
  select array_agg(s.task_id) as ids, array_agg(s.run) as runs, array_agg(s.session_id) as sessions into v_claimed
  from pg_temp.leader_worker s where s.state = 'claimed';
  perform async.write_marks(l.epoch, v_claimed.ids, v_claimed.runs, v_claimed.sessions) from pg_temp.leader_state l;
  return coalesce(cardinality(v_claimed.ids), 0);
end
$function$;
