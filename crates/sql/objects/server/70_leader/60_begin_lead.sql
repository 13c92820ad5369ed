-- Purpose: becomes the leader, once the locks are held: binds the server's id, raises the epoch, publishes the pid,
--   and takes stock of what the last leader left.
-- Returns: nothing.
-- Raises: PA206 when this server cannot reach itself.
-- Locks: the rows of async.control and async.leader.
create or replace function async.begin_lead()
returns void
language plpgsql
as $function$
declare
  v_system text := '0';
  v_epoch bigint;
  v_error text;
begin
  begin
    select s.system_identifier::text into v_system from pg_control_system() s;
  exception when insufficient_privilege then
    null;
  end;
  insert into async.leader (server_id, system_identifier, database_oid)
  select '', '', 0 where not exists (select from async.leader);
  -- A dump that was restored elsewhere is another server: sessions of the old one are none of its business.
  update async.leader l
  set server_id = left(md5(random()::text || clock_timestamp()::text), 12), system_identifier = v_system,
      database_oid = (select d.oid from pg_database d where d.datname = current_database())
  where (l.system_identifier, l.database_oid) is distinct from
    (v_system, (select d.oid from pg_database d where d.datname = current_database()));
  if found then
    delete from async.session;
  end if;
  update async.leader l set epoch = l.epoch + 1, engine = 'sql', goodbye = false, resign_epoch = null
  returning l.epoch into v_epoch;
  update async.control c set pid = pg_backend_pid(), running_since = clock_timestamp(), enabled = true;

  perform async.create_leader_state();
  insert into pg_temp.leader_state (epoch, server_id, self_conninfo)
  select l.epoch, l.server_id, async.extend_conninfo(async.self_conninfo(), jsonb_build_object(
    'application_name', format('pgasync/%s/%s/helper', l.server_id, l.epoch), 'connect_timeout', '3'))
  from async.leader l;
  perform async.close_stale_sessions();
  perform async.refresh_configuration();
  v_error := async.open_self_sessions();
  if v_error is not null then
    raise exception 'the orchestrator cannot connect to its own server: %', v_error
      using errcode = 'PA206',
        hint = 'Set a connection string that works from the server itself, with a password if one is asked for: '
          'select async.configure(''{"control": {"self_connection_string": "host=localhost password=..."}}'')';
  end if;
  perform async.take_stock();
  perform async.log_quiet('NOTICE', format('leading: SQL engine, epoch %s, pid %s', v_epoch, pg_backend_pid()));
end
$function$;
