-- Purpose: performs a fence over an open connection, and resolves the receipts of the sessions that are gone. A
--   session whose receipts cannot be resolved is not gone.
-- Returns: the result for each session, as async.end_sessions.
-- Raises: PA210; 42501 when this role may not see the start of a backend with the pid of a
--   registered session; the errors of the target.
-- Locks: none.
create or replace function async.fence_sessions(in_conn text, in_ids bigint[], in_conninfo jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_checks_max constant int := 50;
  v_many_hosts constant bool := strpos(coalesce(in_conninfo ->> 'hostaddr', in_conninfo ->> 'host', ''), ',') > 0;
  v_moved constant bigint := async.last_moved_epoch();
  v_server record;
  v_there async.session[];
  v_here bigint[];
  v_found jsonb;
begin
  v_server := async.read_identity(async.query_target(in_conn, async.identity_query()));
  perform async.refuse_unknown_sessions(in_conn);
  select coalesce(array_agg(s.session) filter (where s.registered_there), '{}'),
    coalesce(jsonb_agg(jsonb_build_object('id', (s.session).session_id, 'state', case when s.replaced then 'gone' else 'unreached' end,
        'error', format('another server answers (%s, started %s): it is unknown whether the session lives on at its own server',
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
    return async.add_receipts(in_conn, v_found, v_server.server_started, v_server.system_identifier);
  end if;
  for v_check in 1..c_checks_max loop
    v_here := async.signal_backends(in_conn, v_there, 'pg_terminate_backend', v_moved);
    exit when not exists (
      select from unnest(v_there) s where s.epoch >= v_moved and s.session_id = any (v_here));
    perform pg_sleep(0.1);
  end loop;
  return async.add_receipts(in_conn, v_found || (
    select jsonb_agg(jsonb_build_object('id', s.session_id,
      'state', case
        when s.session_id <> all (v_here) then 'gone'
        when s.epoch < v_moved then 'waiting'
        else 'failed'
      end,
      'error', case when s.epoch >= v_moved then 'it is still there, although it was asked to end' end))
    from unnest(v_there) s), v_server.server_started, v_server.system_identifier);
end
$function$;
