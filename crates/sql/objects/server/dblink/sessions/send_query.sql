-- Purpose: sends the text of a launch, and notes the time for which that blocked the leader. A session
--   whose send fails is lost, because a part of the text may have arrived.
-- Returns: 'sent', 'slow' (sent, and it took long), 'unread' (the target did not read, and the session
--   is lost), or 'broken' (the session is lost).
-- Raises: nothing.
-- Locks: none.
create or replace function async.send_query(in_worker int, in_conn text, in_target text, in_text text)
returns text
language plpgsql
as $function$
declare
  -- The buffers of a socket accept a shorter text even if the target does not read.
  c_long_text_bytes constant int := 65536;
  c_prefix_chars constant int := 32768;
  v_began constant timestamptz := clock_timestamp();
  v_sent bool;
  v_slow bool;
begin
  begin
    v_sent := public.dblink_send_query(in_conn, in_text) = 1;
  exception when others then
    v_sent := false;
  end;
  v_slow := async.note_blocked_time(clock_timestamp() - v_began);
  if v_slow or octet_length(in_text) > c_long_text_bytes then
    update pg_temp.leader_target t set reads_slowly = v_slow where t.target = in_target and t.reads_slowly <> v_slow;
  end if;
  if v_sent then
    -- The session was opened before its target had dblink, so the schema of dblink is unknown.
    if strpos(lower(left(in_text, c_prefix_chars)), 'dblink') > 0 then
      update pg_temp.leader_worker s set spent = true where s.worker = in_worker and s.dblink_schema is null;
    end if;
    return case when v_slow then 'slow' else 'sent' end;
  end if;
  perform async.lose_session(in_worker);
  if v_slow then
    perform async.note_session_failure(in_target, 'it does not read what is sent to it');
    return 'unread';
  end if;
  return 'broken';
end
$function$;
