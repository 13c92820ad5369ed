-- Purpose: how many tasks a pool may hold at once: what it was configured with, else its target's
--   limit when it bears a target's name, else the default.
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
