-- Purpose: withdraws offers: all of a paused pool or target; and in a full pool with waiting queries,
--   those that no client has taken for one second. The pool then makes no offers for two seconds. Notes the starts of offered tasks
--   in pools that limit them; a withdrawn offer counts, too.
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
  v_pools text[];
  v_kept bigint[];
  v_paused bigint[];
begin
  v_paused := array(
    select o.task_id
    from async.offer o
    left join pg_temp.leader_pool p on p.pool = o.pool
    left join pg_temp.leader_target t on t.target = o.target
    where (p.paused or t.paused)
      and not exists (select from pg_temp.leader_backoff k where k.task_id = o.task_id and k.until > in_now));
  if v_paused <> '{}' then
    perform from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, 'WITHDRAW', in_now, null, null, null, null, null, null, null, null)::async.event_t
      from unnest(v_paused) i));
  end if;
  if (select s.limits_starts from pg_temp.leader_state s) then
    update pg_temp.leader_pool p
    set offered = n.offers, started_at = case when n.offers then p.started_at else in_now end
    from (
      select i.pool, exists (select from async.offer o where o.pool = i.pool) as offers
      from pg_temp.leader_pool i
      where i.spacing is not null
    ) n
    where n.pool = p.pool and n.offers <> p.offered;
  end if;
  select array_agg(o.task_id), array_agg(o.pool) into v_ids, v_pools
  from async.offer o
  join pg_temp.leader_pool p on p.pool = o.pool
  where not p.paused and p.taken >= p.max_workers and o.offered < in_now - interval '1 second'
    and not exists (select from pg_temp.leader_backoff k where k.task_id = o.task_id and k.until > in_now)
    and exists (select from pg_temp.leader_lane l
      where l.pool = o.pool and not l.pullable and not l.exhausted);
  if v_ids is null then
    return;
  end if;
  v_kept := array(
    select w.task_id
    from async.leader_write(in_now, null, null, null, null, null, array(
      select row(i, null, 'WITHDRAW', in_now, null, null, null, null, null, null, null, null)::async.event_t
      from unnest(v_ids) i)) w);
  update pg_temp.leader_pool p set offers_held_until = in_now + c_hold
  where p.pool in (
    select i.pool from unnest(v_ids, v_pools) i(task_id, pool) where i.task_id <> all (v_kept));
end
$function$;
