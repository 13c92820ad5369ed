-- Purpose: signals the backends of registered sessions over a connection to their server. Sessions
--   of epochs before in_spared are looked up and not signaled.
-- Returns: the ids of the sessions that exist.
-- Raises: 42501 when the backend of one is hidden from this role; the errors of the target.
-- Locks: none.
create or replace function async.signal_backends(
  in_conn text, in_sessions async.session[], in_function text, in_spared bigint
) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_list text;
  v_answer jsonb;
  v_here bigint[];
  v_hidden int;
begin
  -- This form of a time does not depend on datestyle.
  select string_agg(format('(%s::bigint, %s::int, %L::pg_catalog.timestamptz, %L::pg_catalog.name, %L::boolean)', s.session_id, s.pid,
      to_char(s.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'), s.role,
      coalesce(s.epoch < in_spared, false)), ', '
    order by s.session_id)
  into v_list
  from unnest(in_sessions) s;
  v_answer := async.query_target(in_conn, format(
    'select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(w.id, a.pid, a.backend_start is null, '
    'case when a.backend_start is not null and not w.spared then pg_catalog.%s(a.pid) end)), ''[]'') '
    'from (values %s) as w(id, pid, backend_start, role, spared) join pg_catalog.pg_stat_activity a '
    'on a.pid operator(pg_catalog.=) w.pid and (a.backend_start operator(pg_catalog.=) w.backend_start '
    'or a.backend_start is null and a.usename operator(pg_catalog.=) w.role)',
    in_function, v_list));
  select coalesce(array_agg((r.found ->> 0)::bigint), '{}'), min((r.found ->> 1)::int) filter (where (r.found ->> 2)::bool)
  into v_here, v_hidden
  from jsonb_array_elements(v_answer) as r(found);
  if v_hidden is not null then
    raise exception 'backend % is hidden from this role', v_hidden
      using errcode = '42501', hint = 'It has to be a member of the role that runs it, or of pg_read_all_stats '
        'and pg_signal_backend';
  end if;
  return v_here;
end
$function$;
