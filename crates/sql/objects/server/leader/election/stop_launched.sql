-- Purpose: a leader that stops pauses what still runs: each query is cancelled and, when that is
--   confirmed, waits in the queue for the next leader.
-- Returns: how many queries still run.
-- Raises: nothing.
-- Locks: none.
create or replace function async.stop_launched()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.set_intention(s.worker, clock_timestamp(), 'PAUSED', null, null)
  from pg_temp.leader_worker s where s.state = 'running' and s.intention is null;
  return (select count(*)::int from pg_temp.leader_worker s where s.state in ('claimed', 'running', 'ended'));
end
$function$;
