-- Purpose: sessions that were lost are known to be gone: their tasks may be recorded now; where that was done before
--   (the deadline came first), the slot they held is given back.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.task that it changes.
create or replace function async.free_lost_slots(in_sessions bigint[])
returns void
language plpgsql
as $function$
declare
  v_slot record;
begin
  for v_slot in
    select s.slot, s.task_id, s.pool, s.recorded from pg_temp.leader_slot s
    where s.state = 'lost' and s.session_id = any (in_sessions)
  loop
    if v_slot.recorded then
      update async.task t set tracked = false where t.task_id = v_slot.task_id and t.processed is not null and t.tracked;
      perform async.release_pools(array[v_slot.pool]);
      perform async.empty_slots(array[v_slot.slot]);
    else
      update pg_temp.leader_slot s set state = 'ended', since = clock_timestamp() where s.slot = v_slot.slot;
    end if;
  end loop;
end
$function$;
