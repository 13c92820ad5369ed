-- Purpose: releases pool slots in the memory of the SQL engine, one for each mention of a pool. In
--   a session without that memory it does nothing, because a leader counts the pools when it
--   starts. The call of a client comes here as the owner of the schema. So a temporary table of that
--   name counts only if a member of the owner owns it: the triggers of another would run as the
--   owner.
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
