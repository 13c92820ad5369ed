-- Purpose: runs in a helper session: cancels or terminates registered sessions over a second
--   connection, each identified by pid and backend_start. The connection goes to the recorded
--   address or, with in_present, to the present address of the target. 'fence' terminates the
--   sessions and checks for up to five seconds whether they are gone. Sessions that may belong to
--   another server are only looked up.
-- Returns: for a fence, the result for each session: a JSON array of {id, state, error}. state is
--   gone, waiting (left alone), failed, or unreached (no server answered, or another one than the
--   session was opened at). Otherwise '[]'.
-- Raises: for a cancel and a termination the error of the connection.
-- Locks: none.
create or replace function async.end_sessions(in_ids bigint[], in_how text, in_present bool)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
as $function$
declare
  c_connect_seconds_max constant int := 2;
  v_address record;
  v_found jsonb := '[]';
  v_step text;
  v_context text;
begin
  for v_address in
    select async.fence_conninfo(s, in_present, c_connect_seconds_max) as connection_string,
      array_agg(s.session_id order by s.session_id) as ids
    from async.session s where s.session_id = any (in_ids)
    group by 1
  loop
    begin
      v_step := 'unreached';
      perform async.close_session('pgasync_end');
      perform public.dblink_connect('pgasync_end'::text, v_address.connection_string);
      v_step := 'failed';
      if in_how = 'fence' then
        v_found := v_found || async.fence_sessions('pgasync_end', v_address.ids,
          async.parse_conninfo(v_address.connection_string));
      else
        perform async.signal_backends('pgasync_end', array(
          select s from async.session s where s.session_id = any (v_address.ids) order by s.session_id),
          case in_how when 'cancel' then 'pg_cancel_backend' else 'pg_terminate_backend' end, null);
      end if;
      perform async.close_session('pgasync_end');
    exception when query_canceled or assert_failure or others then
      -- A target's answer may have any SQLSTATE; a cancel of this session itself ends the call.
      get stacked diagnostics v_context = pg_exception_context;
      perform async.close_session('pgasync_end');
      if in_how <> 'fence' or sqlstate = '57014' and strpos(v_context, '"pgasync_end"') = 0 then
        raise;
      end if;
      v_found := v_found || (
        select jsonb_agg(jsonb_build_object(
          'id', i, 'state', v_step, 'error', async.mask_text(sqlstate || ': ' || sqlerrm)))
        from unnest(v_address.ids) i);
    end;
  end loop;
  return v_found::text;
end
$function$;
