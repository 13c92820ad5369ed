-- Purpose: releases pool slots in the memory of the SQL engine, one for each mention of a pool. In
--   a session without that memory it does nothing, because a leader counts the pools when it
--   starts.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.release_pools(in_pools text[])
returns void
language plpgsql
as $function$
begin
  if cardinality(in_pools) = 0 or to_regclass('pg_temp.leader_pool') is null then
    return;
  end if;
  update pg_temp.leader_pool p
  set taken = greatest(p.taken - d.slots, 0)
  from (select i.pool, count(*)::int as slots from unnest(in_pools) i(pool) group by i.pool) d
  where p.pool = d.pool;
end
$function$;
