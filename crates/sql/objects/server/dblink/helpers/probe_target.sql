-- Purpose: runs in a helper's session: first contact with a target, which may block for as long as
--   it likes.
-- Returns: the target's server_version_num.
-- Raises: the connection's error.
-- Locks: none.
create or replace function async.probe_target(in_conninfo_of text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_conninfo text;
  v_version text;
begin
  v_conninfo := async.target_conninfo(in_conninfo_of, 'probe', false, 2);
  perform public.dblink_connect('pgasync_probe'::text, v_conninfo);
  select r.v into v_version
  from public.dblink('pgasync_probe'::text, 'select pg_catalog.current_setting(''server_version_num'')'::text) as r(v text);
  perform async.refuse_unknown_sessions('pgasync_probe');
  perform public.dblink_disconnect('pgasync_probe'::text);
  return v_version;
exception when others then
  perform async.close_session('pgasync_probe');
  raise;
end
$function$;
