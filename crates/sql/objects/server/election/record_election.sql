-- Purpose: records an election: its nonce, and the server that it took place on. Address (if both
--   are known and identify a host), port and timeline decide whether the server is the same as at
--   the previous election, or another one: a copy, or the successor of a failed primary. A server
--   that was only restarted, or is reached over another path, is the same.
-- Returns: the nonce.
-- Raises: nothing.
-- Locks: none.
create or replace function async.record_election(in_epoch bigint, in_system_identifier text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_elections_max constant int := 10000;
  v_nonce constant text := left(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text), 8);
  v_last async.election;
  v_timeline int;
begin
  begin
    v_timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int;
  exception when insufficient_privilege then
    null;
  end;
  select e.* into v_last from async.election e where e.epoch < in_epoch order by e.epoch desc, e.nonce limit 1;
  insert into async.election (epoch, nonce, address, port, timeline, system_identifier, server_started, moved)
  values (
    in_epoch, v_nonce, host(inet_server_addr()), current_setting('port')::int, v_timeline, in_system_identifier,
    pg_postmaster_start_time(),
    pg_postmaster_start_time() is distinct from v_last.server_started
      and (current_setting('port')::int <> v_last.port
        or v_timeline <> v_last.timeline
        or not async.is_local_address(v_last.address) and not async.is_local_address(host(inet_server_addr()))
          and host(inet_server_addr()) <> v_last.address) is true);
  delete from async.election e where e.epoch < in_epoch - c_elections_max;
  return v_nonce;
end
$function$;
