-- Purpose: removes sessions that are gone, or count as gone, from the registry, and settles their
--   tasks.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.forget_sessions(in_sessions bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  delete from pg_temp.leader_fence f where f.session_id = any (in_sessions);
  perform async.unregister_sessions(in_sessions);
  perform async.settle_lost_sessions(in_sessions);
end
$function$;
