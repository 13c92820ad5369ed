-- Purpose: publishes pools that have no row yet. The leader does so by itself. Scripts of the
--   original library call this function.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows that it inserts.
create or replace function async.set_concurrency_pool_tracker(_pools text[]) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $function$
  insert into async.concurrency_pool_tracker (concurrency_pool, workers, max_workers)
  select distinct p.pool, 0, async.pool_limit(p.pool)
  from unnest(_pools) as p(pool)
  where p.pool is not null
  order by p.pool
  on conflict (concurrency_pool) do nothing
$function$;
