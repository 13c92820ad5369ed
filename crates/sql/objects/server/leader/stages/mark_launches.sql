-- Purpose: notes durably enough which claimed tasks are about to be sent, and on which session: in an unlogged,
--   append-only table whose sentinel says whether Postgres crashed since. Committed before anything is sent.
-- Returns: how many were marked.
-- Raises: PA212 when another orchestrator has taken the lead.
-- Locks: async.leader as hold_epoch; none that others wait for.
create or replace function async.mark_launches()
returns int
language plpgsql
as $function$
declare
  v_marks int;
begin
  perform async.hold_epoch(l.epoch) from pg_temp.leader_state l;
  insert into async.launch_mark (task_id, run, session_id)
  select s.task_id, s.run, s.session_id from pg_temp.leader_worker s where s.state = 'claimed';
  get diagnostics v_marks = row_count;
  return v_marks;
end
$function$;
