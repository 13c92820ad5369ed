-- Purpose: pauses what runs when a leader stops: each query is canceled, and its task returns to
--   the queue when the cancel is confirmed.
-- Returns: the number of workers that still have a task.
-- Raises: nothing.
-- Locks: none.
create or replace function async.stop_launched()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.set_intention(s.worker, clock_timestamp(), 'PAUSED', null, null, null)
  from pg_temp.leader_worker s where s.state = 'running' and s.intention is null;
  return (select count(*)::int from pg_temp.leader_worker s where s.state in ('claimed', 'running', 'ended'));
end
$function$;
