-- Purpose: refuses a push after which tasks would wait in too many pools. A name that is not
--   configured is a pool of its own. The pools are counted one by one only if the leader has published
--   many, or if no leader exists.
-- Returns: nothing.
-- Raises: PA01A.
-- Locks: none.
create or replace function async.check_pools(in_tasks async.task_push_t[], in_names int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_counted_from constant int := async.pools_max() / 2;
  v_pools bigint;
begin
  if in_names < c_counted_from and (select c.pid is not null from async.control c)
    and in_names + (select count(*) from (select from async.concurrency_pool_tracker limit c_counted_from) k)
      < c_counted_from
  then
    return;
  end if;
  select count(*) into v_pools
  from (
    select l.pool from async.discover_lanes() l
    union
    select p.concurrency_pool from unnest(in_tasks) p where p.concurrency_pool is not null
  ) n;
  if v_pools > async.pools_max() then
    raise exception 'tasks would wait in % concurrency pools', v_pools
      using errcode = 'PA01A', hint = format('They may wait in %s at once. Push the others later, or to fewer pools.',
        async.pools_max());
  end if;
end
$function$;
