-- Purpose: gives slots back to their pools in the leader's memory; a pool that is named twice gets
--   two. In a session without such memory it does nothing: a leader recounts when it starts. A
--   client's call comes here as the owner of the schema, so a temporary table of that name counts
--   only if it belongs to a member of the owner: the triggers of any other would run as the owner.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.release_pools(in_pools text[])
returns void
language plpgsql
as $function$
begin
  if coalesce(cardinality(in_pools), 0) = 0 or not exists (
    select from pg_class c
    where c.oid = to_regclass('pg_temp.leader_pool') and c.relkind = 'r'
      and pg_has_role(c.relowner, (select n.nspowner from pg_namespace n where n.nspname = 'async'), 'usage'))
  then
    return;
  end if;
  update pg_temp.leader_pool p
  set taken = greatest(p.taken - d.slots, 0)
  from (select i.pool, count(*)::int as slots from unnest(in_pools) i(pool) group by i.pool) d
  where p.pool = d.pool;
end
$function$;
