-- Purpose: restores the memory and the sessions after a cycle that was rolled back. What its stages
--   read from sessions may be lost.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.recover_interrupted_cycle()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('pgasync.polled', '', false);
  update pg_temp.leader_worker s set uncertain = true where s.state = 'running';
  begin
    perform async.recover_interrupted_stage('reap');
    perform async.recover_interrupted_stage('helpers');
  exception when assert_failure or others then
    null;
  end;
end
$function$;
