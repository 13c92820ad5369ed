-- Purpose: another session that holds the lock of advisory_mutex_id, of a role that is a member of
--   the owner. The sessions of other roles do not count.
-- Returns: its pid, or null.
-- Raises: nothing.
-- Locks: none.
create or replace function async.mutex_holder()
returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select l.pid
    from async.control c
    join pg_locks l on l.pid <> pg_backend_pid() and async.is_advisory_lock(l, c.advisory_mutex_id)
    cross join pg_stat_get_activity(l.pid) a
    where pg_has_role(a.usesysid, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage')
    limit 1);
end
$function$;
