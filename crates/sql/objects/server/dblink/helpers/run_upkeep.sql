-- Purpose: keeps the upkeep running in a session to this server itself, without waiting for it: reads
--   the answer of async.upkeep, and sends the next call, or what the answer asks for: a VACUUM,
--   or the deletion of receipts at a target.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none here.
create or replace function async.run_upkeep(in_now timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_conn constant text := 'pgasync_upkeep';
  c_pause constant interval := '2 seconds';
  c_pause_after_failure constant interval := '10 seconds';
  v_state record;
  v_read record;
  v_error text;
  v_answer json;
  v_query text;
begin
  if not async.is_due('upkeep', '0', in_now) then
    return;
  end if;
  select l.writes, l.self_conninfo into v_state from pg_temp.leader_state l;
  if c_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
    if public.dblink_is_busy(c_conn) = 1 then
      return;
    end if;
    v_read := async.read_results(c_conn);
    if not v_read.ended then
      return;
    end if;
    -- The value after a VACUUM is its command tag.
    v_answer := case when v_read.value like '{%' then v_read.value::json end;
    if v_read.code is not null then
      v_error := v_read.error;
      perform async.close_session(c_conn);
    end if;
  else
    v_error := async.open_session(c_conn, v_state.self_conninfo, false);
    if v_error is null then
      perform public.dblink_exec(c_conn, 'set statement_timeout = 0; set lock_timeout = 1000'::text);
    end if;
  end if;
  if v_error is not null then
    perform async.log_quiet('WARNING', 'upkeep: ' || v_error);
    perform async.note_done('upkeep', in_now + c_pause_after_failure);
  elsif v_answer ->> 'vacuum' is null and (v_answer ->> 'receipts')::bool then
    perform public.dblink_send_query(c_conn, 'select async.delete_receipts()'::text);
  elsif v_answer ->> 'vacuum' is null and not (v_answer ->> 'more')::bool then
    perform async.note_done('upkeep', in_now + c_pause);
  else
    v_query := v_answer ->> 'vacuum';
    if v_query is null then
      v_query := format('call async.upkeep(%s)', v_state.writes);
      update pg_temp.leader_state set writes = 0 where writes > 0;
    end if;
    perform public.dblink_send_query(c_conn, v_query);
  end if;
end
$function$;
