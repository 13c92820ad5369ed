-- Purpose: claims the tasks that run next: asks the plan, assigns idle sessions, notes how many
--   sessions each target needs more, and writes the claims. Tasks that clients pull are offered
--   instead.
-- Returns: the number of tasks that were claimed or offered.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
-- (Longer than a screen: one pass over lanes and heads.)
create or replace function async.claim_tasks(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_workers int;
  v_default interval;
  v_may_block bool;
  v_may_identify bool;
  v_lanes record;
  v_head record;
  v_idle record;
  v_at int;
  v_claim async.claim_t;
  v_claims async.claim_t[] := '{}';
  v_moved text[];
  v_wanted text[] := '{}';
  v_offered bigint[] := '{}';
begin
  select c.workers, c.default_timeout into v_workers, v_default from async.control c;
  v_workers := greatest(v_workers
    - (select count(*)::int from pg_temp.leader_worker s where s.task_id is not null and not s.unreachable)
    -- The launched tasks of a lost leader may still run at their targets. Those at a host that does
    -- not answer do not count against the workers.
    - (select count(*)::int from pg_temp.leader_orphan o
      where o.launched
        and not exists (select from pg_temp.leader_fence f where f.target = o.target and f.unreachable)), 0);
  update pg_temp.leader_target t set wanted = 0 where t.wanted <> 0;
  v_may_block := async.may_block_again(in_now);
  v_may_identify := async.may_identify_more();

  select
    array_agg(row(
      l.pool, l.target, l.pullable, l.after_priority, l.after_entered, l.after_id, p.max_workers - p.taken,
      -- A target at which no further session is opened is used with the sessions that it has. Of
      -- those above a lower limit, the idle ones are about to be closed.
      least(case when not o.opens then coalesce(i.idle, 0) when not t.identified then coalesce(i.idle, 0) + 1 end,
        greatest(coalesce(i.idle, 0) + t.max_sessions - coalesce(i.sessions, 0),
          case when t.max_sessions is not null then 0 end)))::async.lane_t) as lanes,
    array_agg(l.target) as targets, array_agg(t.default_timeout) as timeouts
  into v_lanes
  from pg_temp.leader_lane l
  join pg_temp.leader_pool p on p.pool = l.pool
  join pg_temp.leader_target t on t.target = l.target
  left join (
    select s.target, count(*) filter (where s.state in ('idle', 'cleaning'))::int as idle,
      bool_or(s.state = 'identifying') as identifying, count(*)::int as sessions
    from pg_temp.leader_worker s
    where s.state <> 'empty'
    group by s.target
  ) i on i.target = l.target
  -- The tasks of a target that opens no session now take no workers from others.
  cross join lateral (select t.health = 'ok' and (not t.connects_slowly or v_may_block)
    and (t.identified or i.identifying is not true and (v_may_identify or t.session_failures = 0))
    and (t.max_sessions is null or coalesce(i.sessions, 0) < t.max_sessions) as opens) o
  where not l.exhausted and p.taken < p.max_workers
    and case
      when l.pullable then p.offers_held_until <= in_now
      else v_workers > 0 and (o.opens or i.idle > 0) and (not t.reads_slowly or v_may_block)
        and not exists (select from pg_temp.leader_fence f where f.target = l.target and f.older)
    end;
  if v_lanes.lanes is null then
    return 0;
  end if;

  v_idle := async.find_idle_sessions(v_lanes.targets);
  for v_head in
    select p.*
    from async.plan_claims(v_lanes.lanes, v_workers, async.tasks_backing_off(in_now), in_now) p
  loop
    if v_head.pullable then
      v_offered := v_offered || v_head.task_id;
      continue;
    end if;
    v_at := array_position(v_idle.targets, v_head.target);
    if v_at is null then
      v_wanted := v_wanted || v_head.target;
      continue;
    end if;
    v_idle.targets[v_at] := null;
    v_claims := v_claims || row(v_head.task_id, v_head.run, v_idle.workers[v_at], v_head.pool, v_head.target,
      v_head.priority, v_head.entered,
      coalesce(v_lanes.timeouts[array_position(v_lanes.targets, v_head.target)], v_default))::async.claim_t;
  end loop;

  -- A target may have got another address since its sessions were opened. Its tasks may have been
  -- pushed after that, so they wait for a session at the new address. The addresses are read after
  -- the tasks.
  v_moved := array(
    select s.target
    from unnest(v_claims) c
    join pg_temp.leader_worker s on s.worker = c.worker
    left join async.target t on t.target = s.target
    where t.connection_string is distinct from s.address);
  if v_moved <> '{}' then
    foreach v_claim in array v_claims loop
      if v_claim.target = any (v_moved) then
        perform async.drop_session(v_claim.worker);
        v_claims := array_remove(v_claims, v_claim);
      end if;
    end loop;
  end if;

  if v_wanted <> '{}' then
    update pg_temp.leader_target t set wanted = n.wanted
    from (select w.target, count(*)::int as wanted from unnest(v_wanted) w(target) group by w.target) n
    where t.target = n.target;
  end if;
  if v_claims <> '{}' then
    perform async.write_claims(in_now, v_claims);
  end if;
  if v_offered <> '{}' then
    perform async.write_offers(in_now, v_offered);
  end if;
  return cardinality(v_claims) + cardinality(v_offered);
end
$function$;
