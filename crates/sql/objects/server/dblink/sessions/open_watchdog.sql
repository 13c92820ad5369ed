-- Purpose: opens the watchdog, a session to this server itself that listens for the notifications
--   of async.wake_leader, and checks that it reaches this server as a role that may read
--   async.session.
-- Returns: null, or the error.
-- Raises: nothing.
-- Locks: none.
create or replace function async.open_watchdog()
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conninfo text := (select l.self_conninfo from pg_temp.leader_state l);
  v_error text;
  v_here bool;
begin
  perform async.close_session('pgasync_watchdog');
  v_error := async.open_session('pgasync_watchdog', v_conninfo, false);
  if v_error is not null then
    return v_error;
  end if;
  select r.here into v_here
  from public.dblink('pgasync_watchdog'::text, format(
      'select s.pid is not null and pg_catalog.has_schema_privilege(''async'', ''usage'') '
      'and pg_catalog.has_table_privilege(''async.session'', ''select'') '
      'from (select 1) x left join pg_catalog.pg_stat_get_activity(%s) s on true', pg_backend_pid()))
    as r(here bool);
  if not v_here then
    return 'the session it opens is on another server, or its role may not read async.session';
  end if;
  perform public.dblink_exec('pgasync_watchdog'::text, 'listen async_wake'::text);
  return null;
exception when others then
  return sqlerrm;
end
$function$;
