-- Purpose: the time between two starts of tasks of a pool.
-- Returns: interval; null for a pool without a limit on starts.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pool_spacing(in_pool text)
returns interval language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select p.interval / nullif(p.starts_max, 0) from async.concurrency_pool p where p.concurrency_pool = in_pool);
end
$function$;
