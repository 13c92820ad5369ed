-- Purpose: the number of pool slots of a pool: the configured one, else the limit of the target
--   with this name, else the default.
-- Returns: int.
-- Raises: nothing.
-- Locks: none.
create or replace function async.pool_limit(in_pool text)
returns int language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select coalesce(
      (select p.max_workers from async.concurrency_pool p where p.concurrency_pool = in_pool),
      (select t.max_concurrency from async.target t where t.target = in_pool),
      (select c.default_concurrency_pool_workers from async.control c)));
end
$function$;
