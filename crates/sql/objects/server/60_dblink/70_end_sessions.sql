-- Purpose: runs in a helper's session: cancels or terminates registered sessions from a second connection, each by
--   pid and start; with in_wait it terminates and looks until they are gone, for up to five seconds.
-- Returns: the ids of the sessions that are gone, as an array's text.
-- Raises: the connection's error; 42501 when a session is there whose start this role may not see, so that nobody knows
--   whether it is the one.
-- Locks: none.
create or replace function async.end_sessions(in_ids bigint[], in_how text)
returns text
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  c_looks_max constant int := 50;
  v_address record;
  v_gone bigint[] := '{}';
  v_here bigint[];
  v_hidden int;
  v_list text;
begin
  for v_address in
    -- Where the string names no user, the role that was there is meant.
    select case when async.parse_conninfo(s.connection_string) ? 'user' then s.connection_string
        else async.extend_conninfo(s.connection_string, jsonb_build_object('user', s.role)) end as connection_string,
      array_agg(s.session_id order by s.session_id) as ids,
      string_agg(format('(%s, %s, %L::timestamptz, %L)', s.session_id, s.pid, s.backend_start, s.role), ', '
        order by s.session_id) as list
    from async.session s where s.session_id = any (in_ids)
    group by 1
  loop
    v_list := format('(values %s) as w(id, pid, backend_start, role) join pg_catalog.pg_stat_activity a '
      'on a.pid = w.pid and (a.backend_start = w.backend_start or a.backend_start is null and a.usename = w.role)',
      v_address.list);
    -- Under the recorded name this session would itself look like one of a leader that nobody knows.
    perform dblink_connect('pgasync_end', async.extend_conninfo(v_address.connection_string,
      jsonb_build_object('connect_timeout', '2', 'application_name',
        (select format('pgasync/%s/%s/fence', l.server_id, l.epoch) from async.leader l))));
    if in_how = 'fence' then
      perform async.refuse_strangers('pgasync_end');
    end if;
    for v_look in 1..c_looks_max loop
      select coalesce(array_agg(r.id), '{}'), min(r.pid) filter (where r.hidden) into v_here, v_hidden
      from dblink('pgasync_end', format('select w.id, a.pid, a.backend_start is null, '
        'case when a.backend_start is not null then pg_catalog.%s(a.pid) end from %s',
        case in_how when 'cancel' then 'pg_cancel_backend' else 'pg_terminate_backend' end, v_list))
        as r(id bigint, pid int, hidden bool, signalled bool);
      if v_hidden is not null then
        raise exception 'backend % is hidden from this role', v_hidden
          using errcode = '42501', hint = 'It has to be a member of the role that runs it, or of pg_read_all_stats '
            'and pg_signal_backend';
      end if;
      exit when in_how <> 'fence' or cardinality(v_here) = 0;
      perform pg_sleep(0.1);
    end loop;
    perform dblink_disconnect('pgasync_end');
    v_gone := v_gone || array(select i from unnest(v_address.ids) i where i <> all (v_here));
  end loop;
  return v_gone::text;
exception when others then
  perform async.close_session('pgasync_end');
  raise;
end
$function$;
