-- Purpose: begins the lead of the SQL engine, after async.take_locks: raises the epoch, creates the
--   memory, connects to this server itself, and takes stock of what the last leader left.
-- Returns: nothing.
-- Raises: PA206 when this server cannot connect to itself; the errors of async.raise_epoch.
-- Locks: as async.raise_epoch; waits up to ten seconds for a table that a client has locked.
create or replace function async.begin_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $function$
declare
  v_epoch bigint;
  v_error text;
begin
  select r.out_epoch into v_epoch from async.raise_epoch('sql') r;

  perform async.create_leader_state();
  perform async.make_all_due();
  insert into pg_temp.leader_state (epoch, server_id, self_conninfo, fingerprint)
  select l.epoch, l.server_id, async.extend_conninfo(async.self_conninfo(), jsonb_build_object(
    'application_name', async.session_name('helper'), 'connect_timeout', '3')),
    async.schema_fingerprint()
  from async.leader l;
  perform async.close_own_connections();
  perform async.refresh_configuration();
  v_error := async.open_watchdog();
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
