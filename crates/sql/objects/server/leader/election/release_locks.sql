-- Purpose: releases the locks of the leader, as often as this session holds them, also after a
--   change of advisory_mutex_id.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: releases the two advisory locks of the leader.
create or replace function async.release_locks()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_mutex bigint := nullif(current_setting('pgasync.mutex', true), '')::bigint;
begin
  if v_mutex is null then
    select c.advisory_mutex_id into v_mutex from async.control c;
  end if;
  while exists (
    select from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid()
      and l.classid = async.lock_class()::oid and l.objid = 1 and l.objsubid = 2)
  loop
    perform pg_advisory_unlock(async.lock_class(), 1);
    perform pg_advisory_unlock(v_mutex);
  end loop;
end
$function$;
