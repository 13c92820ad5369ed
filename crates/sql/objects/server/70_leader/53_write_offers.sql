-- Purpose: offers tasks to the clients that pull them: each offer holds a slot of its pool until it is taken and
--   finished, or withdrawn.
-- Returns: nothing.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_offers(in_now timestamptz, in_ids bigint[])
returns void
language plpgsql
as $function$
begin
  with offered as (
    insert into async.offer (task_id, target, pool, priority, entered, timeout)
    select t.task_id, t.target, coalesce(t.concurrency_pool, t.target), t.priority, t.entered,
      coalesce(g.default_timeout, c.default_timeout)
    from async.apply_events(
      in_now, in_ids, null, array_fill('OFFER'::async.task_event_t, array[cardinality(in_ids)]),
      null, null, null, null) a
    join async.task t on t.task_id = a.task_id
    join async.target g on g.target = t.target
    cross join async.control c
    where not async.park(a.task_id, a.outcome, a.error, in_now) and a.outcome = 'applied'
    on conflict (task_id) do nothing
    returning pool
  )
  update pg_temp.leader_pool p set taken = p.taken + n.offered
  from (select o.pool, count(*)::int as offered from offered o group by o.pool) n
  where p.pool = n.pool;
end
$function$;
