-- Purpose: runs in a helper session: first contact with a target, which may block for long.
-- Returns: server_version_num of the target.
-- Raises: the error of the connection, PA204, PA210; 08P01 for an answer that is not a version.
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
  perform async.close_session('pgasync_probe');
  perform public.dblink_connect('pgasync_probe'::text, v_conninfo);
  v_version := async.query_target('pgasync_probe', 'select pg_catalog.current_setting(''server_version_num'')');
  if (v_version ~ '^[0-9]{5,7}$') is not true then
    raise exception 'the target did not say its version' using errcode = 'protocol_violation';
  end if;
  perform async.refuse_unknown_sessions('pgasync_probe');
  perform public.dblink_disconnect('pgasync_probe'::text);
  return v_version;
exception when query_canceled or assert_failure or others then
  -- An answer may have any SQLSTATE, also one that "others" leaves out.
  perform async.close_session('pgasync_probe');
  raise;
end
$function$;
