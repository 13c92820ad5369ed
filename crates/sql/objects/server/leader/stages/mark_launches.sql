-- Purpose: marks the launches of all claimed tasks (see async.write_marks), and notes the receipts of those that
--   have one.
-- Returns: the number of marks.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as async.hold_epoch; none that others wait for.
create or replace function async.mark_launches()
returns int
language plpgsql
as $function$
declare
  v_claimed record;
  v_state record;
  v_noted text;
begin
  select array_agg(s.task_id) as ids, array_agg(s.run) as runs, array_agg(s.session_id) as sessions into v_claimed
  from pg_temp.leader_worker s where s.state = 'claimed';
  select async.write_marks(l.epoch, v_claimed.ids, v_claimed.runs, v_claimed.sessions)::text, l.receipts into v_state
  from pg_temp.leader_state l;
  if v_state.receipts then
    perform async.note_receipt(s.task_id, s.run, s.session_id, s.target)
    from pg_temp.leader_worker s
    join async.task t on t.task_id = s.task_id and t.receipt
    where s.state = 'claimed';
  end if;
  v_noted := async.note_tasks('started', v_claimed.ids);
  return coalesce(cardinality(v_claimed.ids), 0);
end
$function$;
