-- Purpose: the connection of a slot went while its query ran: the slot stays taken until a second connection has
--   seen that the session is gone.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lose_slot(in_slot int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_slot record;
begin
  update pg_temp.leader_slot s
  set state = 'lost', outcome = 'lost', since = clock_timestamp(),
      error = coalesce(s.error,
        format('outcome unknown: the connection to target "%s" was lost while the query ran', s.target))
  where s.slot = in_slot
  returning s.conn, s.session_id, s.target into v_slot;
  perform async.close_session(v_slot.conn);
  insert into pg_temp.leader_fence (session_id, target) values (v_slot.session_id, v_slot.target)
  on conflict do nothing;
end
$function$;
