-- Purpose: opens a connection, with a limit on the time. Up to Postgres 15 connect_timeout of the
--   string is the limit. From 16 on (in_watched) a watchdog session cancels this one when the
--   attempt takes too long.
-- Returns: null, or the error.
-- Raises: a cancel that the watchdog did not send.
-- Locks: an advisory lock with a new key while it connects, which the watchdog looks for.
-- (Longer than a screen: one attempt with its errors.)
create or replace function async.open_session(in_conn text, in_conninfo text, in_watched bool)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_connect_ms_max constant int := 2000;
  v_message text;
  v_detail text;
  v_watching bool := false;
  v_key bigint;
  v_verdict text;
begin
  if in_watched then
    loop
      v_key := async.random_key();
      exit when pg_try_advisory_lock(v_key);
    end loop;
    -- The end of its last answer may have arrived after the answer.
    perform async.read_results('pgasync_watchdog');
    v_watching := public.dblink_send_query('pgasync_watchdog'::text,
      format('select async.watch_leader(%s, %s, %s)', pg_backend_pid(), v_key, c_connect_ms_max)) = 1;
  end if;
  begin
    begin
      perform public.dblink_connect(in_conn, in_conninfo);
    exception when others then
      get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail;
      v_message := async.mask_text(concat_ws(': ', v_message, nullif(v_detail, '')));
    end;
    if v_watching then
      perform pg_advisory_unlock(v_key);
      while public.dblink_is_busy('pgasync_watchdog'::text) = 1 loop
        perform pg_sleep(0.0005);
      end loop;
      -- A cancel that was sent takes effect here at the latest.
      perform pg_sleep(0);
    end if;
  exception when query_canceled then
    if not v_watching then
      raise;
    end if;
    perform pg_advisory_unlock(v_key)
    from pg_locks l
    where l.pid = pg_backend_pid() and async.is_advisory_lock(l, v_key);
    for v_try in 1..2000 loop
      exit when public.dblink_is_busy('pgasync_watchdog'::text) = 0;
      perform pg_sleep(0.001);
    end loop;
    select r.value into v_verdict from async.read_results('pgasync_watchdog') r;
    if v_verdict is distinct from 'cancelled' then
      raise;
    end if;
    if in_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
      perform public.dblink_disconnect(in_conn);
    end if;
    return 'the connection was not made within 2 seconds';
  end;
  if v_watching then
    perform async.read_results('pgasync_watchdog');
  elsif in_watched then
    perform pg_advisory_unlock(v_key);
  end if;
  return v_message;
end
$function$;
