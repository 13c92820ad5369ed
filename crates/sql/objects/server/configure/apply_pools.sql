-- Purpose: makes the given list the configured pools: changes, adds and revives pools, and retires
--   the others.
-- Returns: nothing.
-- Raises: PA060 for a new pool without a size, and for a limit on starts without its interval.
-- Locks: the rows that it changes, until the end of the transaction.
create or replace function async.apply_pools(in_pools jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_path text;
  v_sizeless bool;
  v_retired text;
begin
  select format('concurrency_pools[%s].', e.place - 1),
    p.concurrency_pool is null and e.value ->> 'max_workers' is null
  into v_path, v_sizeless
  from jsonb_array_elements(in_pools) with ordinality as e(value, place)
  left join async.concurrency_pool p on p.concurrency_pool = e.value ->> 'concurrency_pool'
  where p.concurrency_pool is null and e.value ->> 'max_workers' is null
    or coalesce((e.value ->> 'starts_max')::int, p.starts_max) > 0
      and e.value ->> 'interval' is null and p.interval is null
  order by e.place
  limit 1;
  if v_sizeless then
    perform async.refuse_configuration(v_path || 'max_workers', 'is required for a new pool');
  elsif v_path is not null then
    perform async.refuse_configuration(v_path || 'interval', 'is required for a limit on starts');
  end if;

  update async.concurrency_pool p set
    max_workers = coalesce(e.max_workers, p.max_workers),
    starts_max = coalesce(e.starts_max, p.starts_max),
    interval = coalesce(e.interval, p.interval),
    paused = coalesce(e.paused, p.paused),
    retired = coalesce(e.retired, false)
  from jsonb_to_recordset(in_pools)
    as e(concurrency_pool text, max_workers int, starts_max int, interval interval, paused bool, retired bool)
  where p.concurrency_pool = e.concurrency_pool;

  insert into async.concurrency_pool (concurrency_pool, max_workers, starts_max, interval, paused, retired)
  select e.concurrency_pool, e.max_workers, coalesce(e.starts_max, 0), e.interval,
    coalesce(e.paused, false), coalesce(e.retired, false)
  from jsonb_to_recordset(in_pools)
    as e(concurrency_pool text, max_workers int, starts_max int, interval interval, paused bool, retired bool)
  where not exists (select from async.concurrency_pool p where p.concurrency_pool = e.concurrency_pool);

  with retired as (
    update async.concurrency_pool p set retired = true
    where not p.retired
      and not exists (select from jsonb_array_elements(in_pools) e where e ->> 'concurrency_pool' = p.concurrency_pool)
    returning p.concurrency_pool
  )
  select string_agg(quote_ident(r.concurrency_pool), ', ' order by r.concurrency_pool) into v_retired from retired r;
  if v_retired is not null then
    raise notice 'the document leaves out these pools, which are retired now: %', v_retired
      using hint = 'async.set_pool changes one pool and leaves the others as they are.';
  end if;
end
$function$;
