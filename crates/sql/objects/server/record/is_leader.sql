-- Purpose: whether the calling session is the leader session (a routine, a trigger, the engine
--   itself): it has the pid that the leader published, its session_user is a member of the owner,
--   and it holds the lock of the last election.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_leader()
returns bool
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if pg_backend_pid() is distinct from (select c.pid from async.control c) then
    return false;
  end if;
  if not pg_has_role(session_user, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage') then
    return false;
  end if;
  return async.leader_pid() is not distinct from pg_backend_pid();
end
$function$;
