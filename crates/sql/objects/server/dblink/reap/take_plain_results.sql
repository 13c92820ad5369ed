-- Purpose: reads the plain answers of sessions in one statement: the success of a wrapped query,
--   whose reset is sent at once, and the end of a reset, after which the connections of dblink are
--   closed where the target has it. Answers with an error are left to async.read_results, which reads
--   their SQLSTATE and context. dblink_error_message shows an error before the result is read.
-- Returns: the workers whose query succeeded, those of them whose reset was sent, the workers whose
--   reset has ended, and the workers whose answers must be read one by one.
-- Raises: nothing.
-- Locks: none.
create or replace function async.take_plain_results(
  in_states text[], out ended int[], out resetting int[], out clean int[], out others int[]
)
language plpgsql
as $function$
declare
  v_partly_read int[];
  v_closing int[];
  v_unexpected int[];
begin
  select
    array_agg(r.worker) filter (where r.found in ('ended', 'resetting')),
    array_agg(r.worker) filter (where r.found = 'resetting'),
    array_agg(r.worker) filter (where r.found = 'clean'),
    array_agg(r.worker) filter (where r.found = 'more'),
    array_agg(r.worker) filter (where r.found = 'partly_read'),
    array_agg(r.worker) filter (where r.found = 'closing'),
    array_agg(r.worker) filter (where r.found = 'unexpected')
  into ended, resetting, clean, others, v_partly_read, v_closing, v_unexpected
  from (
    select s.worker,
      case
        when public.dblink_is_busy(s.conn) = 1 then 'busy'
        when s.state = 'identifying' or s.state = 'running' and (s.sent in ('raw', 'kept') or s.outcome is not null or s.uncertain)
          or coalesce(public.dblink_error_message(s.conn), 'OK') <> 'OK' then 'more'
        when not s.result_read
          and (select count(*) from public.dblink_get_result(s.conn, false) as f(v text)) <> 1 then 'unexpected'
        -- The empty result, which ends the query, may arrive in a later packet.
        when public.dblink_is_busy(s.conn) = 1 then 'partly_read'
        when (select count(*) from public.dblink_get_result(s.conn, false) as f(v text)) <> 0 then 'unexpected'
        when s.state = 'cleaning' and not s.connections_closed and s.dblink_schema is not null
          and public.dblink_send_query(s.conn, async.close_connections_query(s.dblink_schema)) = 1 then 'closing'
        when s.state = 'cleaning' then 'clean'
        when t.session_reset is false then 'ended'
        when public.dblink_send_query(s.conn, 'discard all'::text) = 1 then 'resetting'
        else 'ended'
      end as found
    from pg_temp.leader_worker s
    left join pg_temp.leader_target t on t.target = s.target
    where s.state = any (in_states)
    offset 0
  ) r;
  if v_partly_read is not null then
    update pg_temp.leader_worker s set result_read = true where s.worker = any (v_partly_read);
  end if;
  if v_closing is not null then
    update pg_temp.leader_worker s set connections_closed = true, result_read = false where s.worker = any (v_closing);
  end if;
  -- Not expected, and not recorded as a success. libpq reports a failed write only when the result
  -- is read, so its error may be available now.
  if v_unexpected is not null then
    update pg_temp.leader_worker s
    set outcome = 'lost',
        error = coalesce(
          format('outcome unknown: the connection to target "%s" was lost while the query ran: ', s.target)
            || nullif(btrim(public.dblink_error_message(s.conn), E' \n'), 'OK'),
          'outcome unknown: the target answered with something else than was expected')
    where s.worker = any (v_unexpected) and s.state = 'running' and s.outcome is null;
    others := others || v_unexpected;
  end if;
end
$function$;
