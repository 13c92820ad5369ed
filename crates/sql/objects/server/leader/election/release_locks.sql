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
  v_key bigint;
begin
  for v_key in
    select k.key from async.leader_lock k where k.pid = pg_backend_pid()
    union
    select nullif(current_setting('pgasync.mutex', true), '')::bigint
  loop
    while exists (select from pg_locks l where l.pid = pg_backend_pid() and async.is_advisory_lock(l, v_key)) loop
      perform pg_advisory_unlock(v_key);
    end loop;
  end loop;
end
$function$;
