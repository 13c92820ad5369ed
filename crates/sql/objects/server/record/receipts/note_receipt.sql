-- Purpose: notes that a run may write a receipt, in the transaction of its launch mark. A run that was
--   marked and not sent may be marked for another session.
-- Returns: the election in its key.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.note_receipt(in_task_id bigint, in_run int, in_session_id bigint, in_target text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_election text;
begin
  insert into async.receipt as r (task_id, run, server_id, election, session_id, target)
  select in_task_id, in_run, l.server_id, e.nonce, in_session_id, in_target
  from async.leader l join async.election e on e.epoch = l.epoch
  on conflict (task_id, run) do update set session_id = excluded.session_id
  returning r.election into v_election;
  return v_election;
end
$function$;
