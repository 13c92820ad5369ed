-- Purpose: makes the given list the configured pools: changes, adds and revives pools, and retires
--   the others.
-- Returns: nothing.
-- Raises: PA060 for a new pool without a size.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_pools(in_pools jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_path text;
begin
  select format('concurrency_pools[%s].max_workers', e.place - 1) into v_path
  from jsonb_array_elements(in_pools) with ordinality as e(value, place)
  where e.value ->> 'max_workers' is null
    and not exists (select from async.concurrency_pool p where p.concurrency_pool = e.value ->> 'concurrency_pool')
  order by e.place
  limit 1;
  if v_path is not null then
    perform async.refuse_configuration(v_path, 'is required for a new pool');
  end if;

  update async.concurrency_pool p set
    max_workers = coalesce(e.max_workers, p.max_workers),
    retired = coalesce(e.retired, false)
  from jsonb_to_recordset(in_pools) as e(concurrency_pool text, max_workers int, retired bool)
  where p.concurrency_pool = e.concurrency_pool;

  insert into async.concurrency_pool (concurrency_pool, max_workers, retired)
  select e.concurrency_pool, e.max_workers, coalesce(e.retired, false)
  from jsonb_to_recordset(in_pools) as e(concurrency_pool text, max_workers int, retired bool)
  where not exists (select from async.concurrency_pool p where p.concurrency_pool = e.concurrency_pool);

  update async.concurrency_pool p set retired = true
  where not p.retired
    and not exists (select from jsonb_array_elements(in_pools) e where e ->> 'concurrency_pool' = p.concurrency_pool);
end
$function$;
