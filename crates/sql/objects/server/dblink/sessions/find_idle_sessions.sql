-- Purpose: the sessions that can take a query now: idle ones, and those whose
--   reset has ended meanwhile. A session whose connection was closed is dropped. A close by the
--   other side arrives by itself, so the check needs no round trip.
-- Returns: parallel arrays of workers and their targets, the most recently used first.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.find_idle_sessions(out workers int[], out targets text[])
language plpgsql
as $function$
declare
  v_clean int[];
  v_partly_read int[];
  v_closing int[];
  v_dead int[];
begin
  select
    array_agg(f.worker order by f.since desc, f.worker) filter (where f.found in ('idle', 'clean')),
    array_agg(f.target order by f.since desc, f.worker) filter (where f.found in ('idle', 'clean')),
    array_agg(f.worker) filter (where f.found = 'clean'),
    array_agg(f.worker) filter (where f.found = 'partly_read'),
    array_agg(f.worker) filter (where f.found = 'closing'),
    array_agg(f.worker) filter (where f.found = 'dead')
  into workers, targets, v_clean, v_partly_read, v_closing, v_dead
  from (
    select s.worker, s.target, s.since,
      case
        when s.state = 'idle' then
          -- The first call may read only the last message of a terminated backend, the second one
          -- the end of the connection.
          case when public.dblink_is_busy(s.conn) + public.dblink_is_busy(s.conn) > 0
              or coalesce(public.dblink_error_message(s.conn), 'OK') <> 'OK'
            then 'dead' else 'idle' end
        when public.dblink_is_busy(s.conn) = 1 or coalesce(public.dblink_error_message(s.conn), 'OK') <> 'OK' then 'wait'
        when not s.result_read
          and (select count(*) from public.dblink_get_result(s.conn, false) as r(v text)) <> 1 then 'dead'
        -- The empty result, which ends the reset, may arrive in a later packet.
        when public.dblink_is_busy(s.conn) = 1 then 'partly_read'
        when (select count(*) from public.dblink_get_result(s.conn, false) as r(v text)) <> 0 then 'dead'
        when not s.connections_closed and s.dblink_schema is not null
          and public.dblink_send_query(s.conn, async.close_connections_query(s.dblink_schema)) = 1 then 'closing'
        else 'clean'
      end as found
    from pg_temp.leader_worker s
    where s.state in ('idle', 'cleaning')
    offset 0
  ) f;
  if v_clean is not null then
    update pg_temp.leader_worker s set state = 'idle', cleaning = false, result_read = false
    where s.worker = any (v_clean);
  end if;
  if v_partly_read is not null then
    update pg_temp.leader_worker s set result_read = true where s.worker = any (v_partly_read);
  end if;
  if v_closing is not null then
    update pg_temp.leader_worker s set connections_closed = true, result_read = false where s.worker = any (v_closing);
  end if;
  if v_dead is not null then
    perform async.drop_session(d) from unnest(v_dead) d;
  end if;
end
$function$;
