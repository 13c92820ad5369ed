-- Purpose: runs in a helper's session: cancels or terminates registered sessions from a second connection, each by
--   pid and start: at the recorded address or, with in_present, at the one that their target has now. 'fence' terminates
--   and looks until they are gone, for up to five seconds; sessions that may be another server's are only looked for.
-- Returns: for a fence what became of each, as a JSON array of {id, state, error}; state is gone, waiting (left alone),
--   failed, or unreached (nobody answered, or not the server that the session was opened at). Otherwise '[]'.
-- Raises: for a cancel and a termination the connection's error.
-- Locks: none.
create or replace function async.end_sessions(in_ids bigint[], in_how text, in_present bool)
returns text
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
set jit = off
as $function$
declare
  c_connect_seconds_max constant int := 2;
  v_address record;
  v_found jsonb := '[]';
  v_step text;
begin
  for v_address in
    select async.fence_conninfo(s, in_present, c_connect_seconds_max) as connection_string,
      array_agg(s.session_id order by s.session_id) as ids
    from async.session s where s.session_id = any (in_ids)
    group by 1
  loop
    begin
      v_step := 'unreached';
      perform dblink_connect('pgasync_end', v_address.connection_string);
      v_step := 'failed';
      if in_how = 'fence' then
        v_found := v_found || async.fence_sessions('pgasync_end', v_address.ids,
          async.parse_conninfo(v_address.connection_string));
      else
        perform async.signal_backends('pgasync_end', array(
          select s from async.session s where s.session_id = any (v_address.ids) order by s.session_id),
          case in_how when 'cancel' then 'pg_cancel_backend' else 'pg_terminate_backend' end, null);
      end if;
      perform dblink_disconnect('pgasync_end');
    exception when others then
      perform async.close_session('pgasync_end');
      if in_how <> 'fence' then
        raise;
      end if;
      v_found := v_found || (
        select jsonb_agg(jsonb_build_object(
          'id', i, 'state', v_step, 'error', async.mask_connection_string(sqlstate || ': ' || sqlerrm)))
        from unnest(v_address.ids) i);
    end;
  end loop;
  return v_found::text;
end
$function$;

-- Purpose: how to reach the server of a registered session, to end it there: as it was recorded or, with in_present, as
--   its target is reached now. Where the recorded string names no user, the role that was there is meant.
-- Returns: text.
-- Raises: PA204 when the target has no connection string any more.
-- Locks: none.
create or replace function async.fence_conninfo(in_session async.session, in_present bool, in_connect_seconds int)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_present and exists (select from async.target t where t.target = in_session.target) then
    return async.target_conninfo(in_session.target, 'fence', false, in_connect_seconds);
  end if;
  return async.extend_conninfo(in_session.connection_string,
    jsonb_build_object('user', coalesce(async.parse_conninfo(in_session.connection_string) ->> 'user', in_session.role),
      'connect_timeout', in_connect_seconds::text,
      -- Under the recorded name this session would itself look like one of the leader that it is to end.
      'application_name', async.session_name('fence')));
end
$function$;

-- Purpose: a fence over an open connection.
-- Returns: what became of each session, see async.end_sessions.
-- Raises: PA210; 42501 when a session is there whose start this role may not see, so that nobody knows whether it is the
--   one; what the target says.
-- Locks: none.
create or replace function async.fence_sessions(in_conn text, in_ids bigint[], in_conninfo jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  c_looks_max constant int := 50;
  v_many_hosts constant bool := strpos(coalesce(in_conninfo ->> 'hostaddr', in_conninfo ->> 'host', ''), ',') > 0;
  v_doubtful constant bigint := async.doubtful_before();
  v_server record;
  v_there async.session[];
  v_here bigint[];
  v_found jsonb;
begin
  v_server := async.read_identity((select r.v from dblink(in_conn, async.identity_query()) as r(v text)));
  perform async.refuse_unknown_sessions(in_conn);
  select coalesce(array_agg(s.session) filter (where s.registered_there), '{}'),
    coalesce(jsonb_agg(jsonb_build_object('id', (s.session).session_id, 'state', case when s.replaced then 'gone' else 'unreached' end,
        'error', format('another server answers (%s, started %s): nobody knows whether the session lives on at its own',
          coalesce(v_server.server_address, 'local'), v_server.server_started)))
      filter (where not s.registered_there), '[]')
  into v_there, v_found
  from (
    select i as session,
      async.is_registered_server(i, v_server.server_started, v_server.system_identifier) as registered_there,
      async.is_replaced(i, v_server.server_started, v_server.server_address, v_server.server_port,
        v_server.system_identifier, v_server.timeline, v_server.writable, v_many_hosts) as replaced
    from async.session i
    where i.session_id = any (in_ids)
  ) s;
  if cardinality(v_there) = 0 then
    return v_found;
  end if;
  for v_look in 1..c_looks_max loop
    v_here := async.signal_backends(in_conn, v_there, 'pg_terminate_backend', v_doubtful);
    exit when not exists (
      select from unnest(v_there) s where s.epoch >= v_doubtful and s.session_id = any (v_here));
    perform pg_sleep(0.1);
  end loop;
  return v_found || (
    select jsonb_agg(jsonb_build_object('id', s.session_id,
      'state', case
        when s.session_id <> all (v_here) then 'gone'
        when s.epoch < v_doubtful then 'waiting'
        else 'failed'
      end,
      'error', case when s.epoch >= v_doubtful then 'it is still there, although it was asked to end' end))
    from unnest(v_there) s);
end
$function$;

-- Purpose: signals, over a connection to their server, those backends of registered sessions that are there; sessions of
--   epochs before in_spared are looked for, and left alone.
-- Returns: the ids of the sessions that are there.
-- Raises: 42501 when one is hidden from this role; what the target says.
-- Locks: none.
create or replace function async.signal_backends(
  in_conn text, in_sessions async.session[], in_function text, in_spared bigint
) returns bigint[]
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  v_list text;
  v_here bigint[];
  v_hidden int;
begin
  -- A time travels in a form that every datestyle reads.
  select string_agg(format('(%s::bigint, %s, %L::timestamptz, %L, %L::bool)', s.session_id, s.pid,
      to_char(s.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'), s.role,
      coalesce(s.epoch < in_spared, false)), ', '
    order by s.session_id)
  into v_list
  from unnest(in_sessions) s;
  select coalesce(array_agg(r.id), '{}'), min(r.pid) filter (where r.hidden) into v_here, v_hidden
  from dblink(in_conn, format(
    'select w.id, a.pid, a.backend_start is null, '
    'case when a.backend_start is not null and not w.spared then pg_catalog.%s(a.pid) end '
    'from (values %s) as w(id, pid, backend_start, role, spared) join pg_catalog.pg_stat_activity a '
    'on a.pid = w.pid and (a.backend_start = w.backend_start or a.backend_start is null and a.usename = w.role)',
    in_function, v_list)) as r(id bigint, pid int, hidden bool, signalled bool);
  if v_hidden is not null then
    raise exception 'backend % is hidden from this role', v_hidden
      using errcode = '42501', hint = 'It has to be a member of the role that runs it, or of pg_read_all_stats '
        'and pg_signal_backend';
  end if;
  return v_here;
end
$function$;
