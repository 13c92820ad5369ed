-- Purpose: drops the session of a slot whose query, if it had one, is known to have ended; the slot is empty then.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the session's row of async.session.
create or replace function async.drop_slot_session(in_slot int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_slot record;
begin
  select s.conn, s.session_id into v_slot from pg_temp.leader_slot s where s.slot = in_slot;
  perform async.close_session(v_slot.conn);
  delete from async.session s where s.session_id = v_slot.session_id;
  update pg_temp.leader_slot s
  set state = 'empty', target = null, conninfo = null, session_id = null, cleaning = false, unreachable = false,
      since = clock_timestamp()
  where s.slot = in_slot;
end
$function$;
