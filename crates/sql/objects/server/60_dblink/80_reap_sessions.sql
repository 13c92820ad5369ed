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
  v_moved int := 0;
  v_lost bool;
  v_reset bool;
begin
  for v_slot in
    select s.slot, s.conn, s.state, s.target, s.sent, s.outcome, s.error, t.session_reset
    from pg_temp.leader_slot s
    left join pg_temp.leader_target t on t.target = s.target
    where case when s.state = any (in_states)
      then dblink_is_busy(s.conn) = 0 else false end
  loop
    v_read := async.read_results(v_slot.conn);
    if v_read.code is not null and v_slot.outcome is null and v_slot.state = 'running' then
      v_lost := v_read.code like '08%' or v_read.code in ('57P01', '57P02', '57P03', '57P05');
      update pg_temp.leader_slot s
      set outcome = case when v_lost then 'lost' else 'error' end,
          error = case when v_lost
            then async.cut_text(format('outcome unknown: the connection to target "%s" was lost while the query ran: %s',
              v_slot.target, v_read.error))
            else v_read.error end
      where s.slot = v_slot.slot;
      v_slot.outcome := case when v_lost then 'lost' else 'error' end;
    end if;
    continue when not v_read.ended;
    v_moved := v_moved + 1;
    case v_slot.state
      when 'identifying' then
        perform async.register_session(v_slot.slot, v_read.value, v_read.error);
      when 'cleaning' then
        if v_read.code is null then
          update pg_temp.leader_slot s set state = 'idle', cleaning = false, since = clock_timestamp()
          where s.slot = v_slot.slot;
        else
          perform async.drop_slot_session(v_slot.slot);
        end if;
      else
        if v_slot.outcome is null then
          -- The reset goes out at once, and its being accepted proves that a script without a wrapper has
          -- no further result.
          v_reset := false;
          if v_slot.session_reset or v_slot.sent = 'raw' then
            v_reset := dblink_send_query(v_slot.conn, 'discard all') = 1;
            if not v_reset then
              continue when v_slot.sent = 'raw' and coalesce(dblink_error_message(v_slot.conn), 'OK') = 'OK';
            end if;
          end if;
          update pg_temp.leader_slot s
          set state = 'ended', outcome = 'ok', cleaning = v_reset, since = clock_timestamp()
          where s.slot = v_slot.slot;
        elsif v_slot.outcome = 'lost' then
          perform async.lose_slot(v_slot.slot);
        else
          update pg_temp.leader_slot s set state = 'ended', since = clock_timestamp()
          where s.slot = v_slot.slot;
        end if;
    end case;
  end loop;
  return v_moved;
end
$function$;
