-- Purpose: offers that nobody takes give way: in a full pool in which queries wait, those older than a second are
--   withdrawn, and the pool offers nothing for a while.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.offer and async.task that it changes; never waits for one.
create or replace function async.yield_offers(in_now timestamptz)
returns void
language plpgsql
as $function$
declare
  c_hold constant interval := '2 seconds';
  v_ids bigint[];
begin
  select array_agg(o.task_id) into v_ids
  from async.offer o
  join pg_temp.leader_pool p on p.pool = o.pool
  where p.taken >= p.max_workers and o.offered < in_now - interval '1 second'
    and exists (select from pg_temp.leader_lane l
      where l.pool = o.pool and not l.pullable and not l.exhausted);
  if v_ids is null then
    return;
  end if;
  v_ids := async.withdraw_offers(v_ids);
  update pg_temp.leader_pool p set offers_held_until = in_now + c_hold
  where p.pool in (
    select coalesce(t.concurrency_pool, t.target) from async.task t where t.task_id = any (v_ids));
end
$function$;
