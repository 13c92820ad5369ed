-- Purpose: applies a changed number of workers: at once in the leader session; elsewhere it wakes
--   the leader, which applies the change at its next poll.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.reinitialize_workers()
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if to_regclass('pg_temp.leader_worker') is not null and async.is_leader() then
    perform async.refresh_configuration();
  else
    perform async.wake_leader();
  end if;
end
$function$;
