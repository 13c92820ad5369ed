-- Purpose: polls every session with an outstanding answer, and processes the answers: ends of
--   queries (ok, error, or lost with the connection), ends of resets, and the identity of new
--   sessions. It does not wait.
-- Returns: the number of sessions whose state changed.
-- Raises: nothing because of a single session.
-- Locks: the sessions' rows of async.session.
-- (Longer than a screen: one loop over the states of a session.)
create or replace function async.reap_sessions(in_states text[] default '{identifying,running,cleaning}')
returns int
language plpgsql
as $function$
declare
  v_plain record;
  v_worker record;
  v_read record;
  v_repeat text;
  v_moved int;
begin
  v_plain := async.take_plain_results(in_states);
  v_moved := coalesce(cardinality(v_plain.ended), 0) + coalesce(cardinality(v_plain.clean), 0);
  if v_moved > 0 then
    update pg_temp.leader_worker s
    set state = case when s.state = 'cleaning' then 'idle' else 'ended' end,
        outcome = case when s.state = 'cleaning' then null else 'ok' end,
        cleaning = s.worker = any (coalesce(v_plain.resetting, '{}')),
        result_read = false,
        since = clock_timestamp()
    where s.worker = any (v_plain.ended || v_plain.clean);
  end if;
  if v_plain.others is null then
    return v_moved;
  end if;

  for v_worker in
    select s.worker, s.conn, s.state, s.target, s.sent, s.outcome, s.uncertain, s.cleaning,
      case when not s.connections_closed and s.dblink_schema is not null then
        async.close_connections_query(s.dblink_schema) end as close_connections
    from pg_temp.leader_worker s
    where s.worker = any (v_plain.others)
  loop
    if v_worker.state = 'running' and v_worker.outcome = 'lost' then
      perform async.lose_session(v_worker.worker);
      v_moved := v_moved + 1;
      continue;
    end if;
    v_read := async.read_results(v_worker.conn);
    if not v_read.ended and v_read.results > 0
      and not async.may_send_more(v_worker.worker, v_read.results, v_read.receiving)
    then
      v_read.ended := true;
      if v_read.code is null then
        v_read.code := '08P01';
        v_read.error := '08P01: the target sent more results than the text can have';
      end if;
    end if;
    if v_worker.sent = 'kept' and v_read.value is not null and v_worker.state = 'running' and not v_worker.cleaning then
      perform async.note_result(v_worker.worker, v_read.value);
    end if;
    if v_worker.state = 'running' and v_worker.cleaning then
      v_moved := v_moved
        + async.settle_reset(v_worker.worker, v_read.ended, v_read.code, v_read.error)::int;
      continue;
    end if;
    if v_read.code is not null and v_worker.outcome is null and v_worker.state = 'running' then
      if v_read.code = 'PX001' then
        -- The SQLSTATE of the query is lost.
        v_read.error := regexp_replace(v_read.error, '^PX001: ', '');
      end if;
      v_worker.outcome := async.note_query_error(v_worker.worker, v_read.code, v_read.error);
    end if;
    -- The identity of a new session, and the error of a reset, may arrive before the end of their
    -- query, and do not arrive twice.
    continue when not v_read.ended
      and (v_worker.state = 'running' or v_read.code is null)
      and (v_worker.state <> 'identifying' or v_read.value is null);
    v_moved := v_moved + 1;
    if v_worker.state = 'identifying' then
      perform async.register_session(v_worker.worker, v_read.value, v_read.error);
      if not v_read.ended then
        update pg_temp.leader_worker s set state = 'cleaning' where s.worker = v_worker.worker and s.state = 'idle';
      end if;
    elsif v_worker.state = 'cleaning' then
      if v_read.code is null and v_worker.close_connections is not null
        and public.dblink_send_query(v_worker.conn, v_worker.close_connections) = 1
      then
        update pg_temp.leader_worker s set connections_closed = true, result_read = false where s.worker = v_worker.worker;
      elsif v_read.code is null then
        update pg_temp.leader_worker s set state = 'idle', cleaning = false, result_read = false, since = clock_timestamp()
        where s.worker = v_worker.worker;
      else
        perform async.drop_session(v_worker.worker);
      end if;
    elsif v_worker.outcome is null then
      v_repeat := case when v_worker.uncertain and v_read.value is null then async.repeat_error(v_worker.conn) end;
      -- The text was sent unchanged. If the session accepts a reset now, the text has no further
      -- result. The answer to the reset settles how the text ended.
      if public.dblink_send_query(v_worker.conn, coalesce(v_repeat, 'discard all'::text)) = 1 then
        update pg_temp.leader_worker s set cleaning = v_repeat is null where s.worker = v_worker.worker;
      elsif coalesce(public.dblink_error_message(v_worker.conn), 'OK') = 'OK' then
        v_moved := v_moved - 1;
      elsif v_repeat is not null then
        perform async.note_query_error(v_worker.worker, '08006', public.dblink_error_message(v_worker.conn));
        perform async.lose_session(v_worker.worker);
      else
        perform async.settle_reset(v_worker.worker, true, '08006', public.dblink_error_message(v_worker.conn));
      end if;
    elsif v_worker.outcome = 'lost' then
      perform async.lose_session(v_worker.worker);
    else
      update pg_temp.leader_worker s set state = 'ended', since = clock_timestamp() where s.worker = v_worker.worker;
    end if;
  end loop;
  return v_moved;
end
$function$;
