-- Purpose: connects a helper to this server itself.
-- Returns: whether the helper is connected.
-- Raises: nothing.
-- Locks: none.
create or replace function async.open_helper(in_helper int)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conn text := 'pgasync_helper_' || in_helper;
  v_error text;
  v_pid int;
begin
  perform async.close_session(v_conn);
  v_error := async.open_session(v_conn, (select l.self_conninfo from pg_temp.leader_state l), false);
  if v_error is not null then
    perform async.log_quiet('WARNING', 'no helper session to this server itself: ' || v_error);
    return false;
  end if;
  select r.pid into v_pid from public.dblink(v_conn, 'select pg_catalog.pg_backend_pid()'::text) as r(pid int);
  update pg_temp.leader_helper h set state = 'idle', pid = v_pid, op = null, since = clock_timestamp()
  where h.helper = in_helper;
  return true;
end
$function$;
