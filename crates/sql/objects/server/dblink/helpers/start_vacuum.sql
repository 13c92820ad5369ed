-- Purpose: starts a vacuum and analyze of the queue in a separate session to this server itself,
--   without waiting for it. The next one starts after the previous one has ended and a tenth of the
--   table was written again.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none here. VACUUM takes its locks in its own session.
create or replace function async.start_vacuum()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_conn constant text := 'pgasync_vacuum';
  c_share constant float8 := 0.1;
  v_rows float8;
  v_read record;
begin
  update pg_temp.leader_state set vacuum_at = clock_timestamp() + interval '5 seconds';
  if c_conn = any (coalesce(public.dblink_get_connections(), '{}')) then
    if public.dblink_is_busy(c_conn) = 1 then
      return;
    end if;
    v_read := async.read_results(c_conn);
    if not v_read.ended then
      return;
    end if;
    if v_read.code is not null then
      perform async.log_quiet('WARNING', 'vacuum of async.task: ' || v_read.error);
      perform async.close_session(c_conn);
    end if;
  end if;
  select c.reltuples into v_rows from pg_class c where c.oid = 'async.task'::regclass;
  if (select l.writes from pg_temp.leader_state l) < greatest(v_rows * c_share, 20000) then
    return;
  end if;
  if c_conn <> all (coalesce(public.dblink_get_connections(), '{}')) then
    if async.open_session(c_conn, (select l.self_conninfo from pg_temp.leader_state l), false) is not null then
      return;
    end if;
  end if;
  perform public.dblink_send_query(c_conn, 'vacuum (analyze) async.task, async.request, async.offer'::text);
  update pg_temp.leader_state set writes = 0;
end
$function$;
