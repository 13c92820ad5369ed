-- Purpose: looks at every session that owes an answer and takes in what came: queries that ended (ok, error, or lost
--   with the connection), resets that are done, new sessions that said who they are. Nothing here waits.
-- Returns: how many sessions moved on.
-- Raises: nothing of a single session's.
-- Locks: none.
create or replace function async.reap_sessions(in_states text[] default '{identifying,running,cleaning}')
returns int
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  v_slot record;
  v_read record;
  v_reset bool;
  v_idle int[] := '{}';
  v_ended int[] := '{}';
  v_cleaning int[] := '{}';
  v_moved int := 0;
begin
  for v_slot in
    select s.slot, s.conn, s.state, s.target, s.sent, s.outcome, t.session_reset
    from pg_temp.leader_slot s
    left join pg_temp.leader_target t on t.target = s.target
    where case when s.state = any (in_states) then dblink_is_busy(s.conn) = 0 else false end
  loop
    v_read := async.read_results(v_slot.conn);
    if v_read.code is not null and v_slot.outcome is null and v_slot.state = 'running' then
      v_slot.outcome := async.note_query_error(v_slot.slot, v_read.code, v_read.error);
    end if;
    -- What a new session says of itself, and what a reset complains of, may be here before its end is, and is not
    -- said again.
    continue when not v_read.ended
      and (v_slot.state = 'running' or v_read.code is null)
      and (v_slot.state <> 'identifying' or v_read.value is null);
    v_moved := v_moved + 1;
    if v_slot.state = 'identifying' then
      perform async.register_session(v_slot.slot, v_read.value, v_read.error);
      if not v_read.ended then
        update pg_temp.leader_slot s set state = 'cleaning' where s.slot = v_slot.slot and s.state = 'idle';
      end if;
    elsif v_slot.state = 'cleaning' then
      if v_read.code is null then
        v_idle := v_idle || v_slot.slot;
      else
        perform async.drop_slot_session(v_slot.slot);
      end if;
    elsif v_slot.outcome is null then
      -- The reset goes out at once, and its being accepted proves that a script without a wrapper has no further
      -- result.
      v_reset := (v_slot.session_reset or v_slot.sent = 'raw') and dblink_send_query(v_slot.conn, 'discard all') = 1;
      if v_reset then
        v_cleaning := v_cleaning || v_slot.slot;
      elsif v_slot.sent = 'raw' and coalesce(dblink_error_message(v_slot.conn), 'OK') = 'OK' then
        v_moved := v_moved - 1;
      else
        v_ended := v_ended || v_slot.slot;
      end if;
    elsif v_slot.outcome = 'lost' then
      perform async.lose_slot(v_slot.slot);
    else
      update pg_temp.leader_slot s set state = 'ended', since = clock_timestamp() where s.slot = v_slot.slot;
    end if;
  end loop;

  if v_idle <> '{}' then
    update pg_temp.leader_slot s set state = 'idle', cleaning = false, since = clock_timestamp()
    where s.slot = any (v_idle);
  end if;
  if v_ended <> '{}' or v_cleaning <> '{}' then
    update pg_temp.leader_slot s
    set state = 'ended', outcome = 'ok', cleaning = s.slot = any (v_cleaning), since = clock_timestamp()
    where s.slot = any (v_ended || v_cleaning);
  end if;
  return v_moved;
end
$function$;
