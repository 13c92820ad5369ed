-- Purpose: counts the occupancy of each pool from the tasks: at the start of a leader, and
--   periodically, because users may change tasks by hand.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.recount_pools()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
begin
  insert into pg_temp.leader_pool as p (pool, max_workers, spacing, started_at, paused, taken)
  select n.pool, async.pool_limit(n.pool), async.pool_spacing(n.pool), s.led_since,
    async.is_paused(n.pool, null), n.taken
  from pg_temp.leader_state s cross join (
    select i.pool, count(*)::int as taken
    from (
      select coalesce(t.concurrency_pool, t.target) as pool
      from async.task t
      where t.processed is null and t.times_up is not null and t.tracked
        and (t.consumed is not null or t.yielded is not null)
      union all
      select o.pool from async.offer o
      union all
      select s.pool from pg_temp.leader_worker s where s.recorded
      union all
      select r.pool from pg_temp.leader_orphan r where r.recorded
    ) i
    group by i.pool
  ) n
  on conflict (pool) do update set taken = excluded.taken;
  update pg_temp.leader_pool p set taken = 0
  where p.taken <> 0
    and not exists (
      select from async.task t
      where t.processed is null and t.times_up is not null and t.tracked
        and coalesce(t.concurrency_pool, t.target) = p.pool)
    and not exists (select from async.offer o where o.pool = p.pool)
    and not exists (select from pg_temp.leader_worker s where s.recorded and s.pool = p.pool)
    and not exists (select from pg_temp.leader_orphan r where r.recorded and r.pool = p.pool);
end
$function$;
