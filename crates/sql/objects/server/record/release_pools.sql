-- Purpose: gives slots back to their pools in the leader's memory; a pool that is named twice gets
--   two. In a session without such memory it does nothing: a leader recounts when it starts.
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
