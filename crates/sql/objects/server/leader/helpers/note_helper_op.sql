-- Purpose: notes an operation that was sent to a helper, so that no other helper gets it meanwhile.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.note_helper_op(in_op text, in_target text, in_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_escalate constant interval := '3 seconds';
begin
  case in_op
    when 'probe' then
      update pg_temp.leader_target t set health = 'probing' where t.target = in_target;
    when 'fence' then
      update pg_temp.leader_fence f set retry_at = 'infinity' where f.session_id = any (in_ids);
    else
      update pg_temp.leader_worker s set cancels = s.cancels + 1, cancel_at = clock_timestamp() + c_escalate
      where s.session_id = any (in_ids) and s.state = 'running';
  end case;
end
$function$;
