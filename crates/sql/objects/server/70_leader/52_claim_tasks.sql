-- Purpose: claims what runs next: asks the plan, matches it with idle sessions, says which targets want more
--   sessions, and writes the claims down. What a client pulls is offered instead.
-- Returns: how many were claimed or offered.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.claim_tasks(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_workers int;
  v_default interval;
  v_lanes record;
  v_head record;
  v_ids bigint[] := '{}';
  v_slots int[] := '{}';
  v_timeouts interval[] := '{}';
  v_heads bigint[] := '{}';
  v_offered bigint[] := '{}';
begin
  select c.workers, c.default_timeout into v_workers, v_default from async.control c;
  v_workers := greatest(v_workers
    - (select count(*)::int from pg_temp.leader_slot s where s.task_id is not null), 0);
  update pg_temp.leader_target t set wanted = 0 where t.wanted <> 0;

  select
    array_agg(l.pool) as pools, array_agg(l.target) as targets, array_agg(l.pullable) as pullable,
    array_agg(l.after_priority) as priorities, array_agg(l.after_entered) as entered,
    array_agg(l.after_id) as ids, array_agg(p.max_workers - p.taken) as free
  into v_lanes
  from pg_temp.leader_lane l
  join pg_temp.leader_pool p on p.pool = l.pool
  join pg_temp.leader_target t on t.target = l.target
  where not l.exhausted and p.taken < p.max_workers
    and case when l.pullable then p.offers_held_until <= in_now else v_workers > 0 and t.health = 'ok' end;
  if v_lanes.pools is null then
    return 0;
  end if;

  -- A kept session that died meanwhile is noticed now, and replaced.
  perform async.drop_slot_session(s.slot)
  from pg_temp.leader_slot s
  where s.state = 'idle' and s.target = any (v_lanes.targets) and not async.session_is_alive(s.conn);

  for v_head in
    with plan as (
      select p.*, row_number() over (partition by p.target, p.pullable order by p.place) as nth
      from async.plan_claims(
        v_lanes.pools, v_lanes.targets, v_lanes.pullable, v_lanes.priorities, v_lanes.entered, v_lanes.ids,
        v_lanes.free, v_workers,
        array(select k.task_id from pg_temp.leader_parked k where k.until > in_now), in_now) p
    ), idle as (
      select s.slot, s.target, row_number() over (partition by s.target order by s.since desc, s.slot) as nth
      from pg_temp.leader_slot s
      where s.state = 'idle'
    )
    select p.task_id, p.target, p.pullable, i.slot, coalesce(t.default_timeout, v_default) as timeout
    from plan p
    join pg_temp.leader_target t on t.target = p.target
    left join idle i on i.target = p.target and i.nth = p.nth and not p.pullable
    order by p.place
  loop
    if v_head.pullable then
      v_offered := v_offered || v_head.task_id;
    elsif v_head.slot is null then
      update pg_temp.leader_target t set wanted = t.wanted + 1 where t.target = v_head.target;
    else
      v_ids := v_ids || v_head.task_id;
      v_slots := v_slots || v_head.slot;
      v_timeouts := v_timeouts || v_head.timeout;
    end if;
  end loop;

  if cardinality(v_ids) > 0 then
    perform async.write_claims(in_now, v_ids, v_slots, v_timeouts);
  end if;
  if cardinality(v_offered) > 0 then
    perform async.write_offers(in_now, v_offered);
  end if;
  return cardinality(v_ids) + cardinality(v_offered);
end
$function$;
