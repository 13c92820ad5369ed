-- Purpose: registers a new session with the identity that it reported. A launch mark may name it
--   from the commit on. A session without a valid identity is dropped, and counts as a failure of
--   its target.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the target's row of async.target_at_self.
create or replace function async.register_session(in_worker int, in_identity text, in_error text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_error text := in_error;
  v_identity record;
  v_worker record;
  v_id bigint;
begin
  select s.target, s.conninfo into v_worker from pg_temp.leader_worker s where s.worker = in_worker;
  if v_error is null then
    begin
      select * into v_identity from async.read_identity(in_identity);
      insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start,
        server_started, server_address, server_port, system_identifier, timeline, at_self)
      select l.epoch, in_worker, v_worker.target,
        -- The encoding belongs to this session alone.
        async.extend_conninfo(v_worker.conninfo, '{"client_encoding": null}'),
        v_identity.role, v_identity.pid, v_identity.backend_start, v_identity.server_started,
        v_identity.server_address, v_identity.server_port, v_identity.system_identifier, v_identity.timeline,
        async.note_session_at_self(v_worker.target, v_identity.pid, v_identity.backend_start, v_identity.server_started)
      from pg_temp.leader_state l
      returning session_id into v_id;
    exception when others then
      v_error := sqlerrm;
    end;
  end if;
  if v_error is not null then
    perform async.drop_session(in_worker);
    perform async.note_session_failure(v_worker.target, v_error);
    return;
  end if;
  update pg_temp.leader_worker s
  set state = 'idle', session_id = v_id, dblink_schema = v_identity.dblink_schema, since = clock_timestamp()
  where s.worker = in_worker;
  update pg_temp.leader_target t set version = v_identity.version, identified = true, met_at = clock_timestamp()
  where t.target = v_worker.target;
  perform async.note_session_opened(v_worker.target);
end
$function$;
