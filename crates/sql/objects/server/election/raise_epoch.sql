-- Purpose: makes this session, which holds the locks, the leader: binds the id of the server,
--   raises the epoch, draws the nonce of the election, and publishes the pid.
-- Returns: the epoch, the id of the server, whether the last leader wrote a goodbye, and the nonce.
-- Raises: lock_not_available when write transactions of the last leader do not end within 10
--   seconds.
-- Locks: async.leader in share row exclusive mode, which waits for the write transactions of other
--   leaders (async.hold_epoch) and blocks new ones; the rows of async.control and async.leader.
create or replace function async.raise_epoch(
  in_engine text, out out_epoch bigint, out out_server_id text, out out_goodbye bool, out out_nonce text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $function$
declare
  v_system text := '0';
begin
  lock table async.leader in share row exclusive mode;
  begin
    select s.system_identifier::text into v_system from pg_control_system() s;
  exception when insufficient_privilege then
    null;
  end;
  insert into async.leader (server_id, system_identifier, database_oid)
  select '', '', 0 where not exists (select from async.leader);
  -- A dump that was restored elsewhere is another server. The sessions of the original do not
  -- belong to it.
  update async.leader l
  set server_id = left(md5(random()::text || clock_timestamp()::text), 12), system_identifier = v_system,
      database_oid = (select d.oid from pg_database d where d.datname = current_database())
  where (l.system_identifier, l.database_oid) is distinct from
    (v_system, (select d.oid from pg_database d where d.datname = current_database()));
  if found then
    delete from async.session;
    delete from async.election;
  end if;
  select l.goodbye into out_goodbye from async.leader l;
  update async.leader l set epoch = l.epoch + 1, engine = in_engine, goodbye = false, resign_epoch = null
  returning l.epoch, l.server_id into out_epoch, out_server_id;
  out_nonce := async.record_election(out_epoch, nullif(v_system, '0'));
  update async.control c set pid = pg_backend_pid(), running_since = clock_timestamp(), enabled = true;
end
$function$;
