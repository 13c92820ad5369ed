-- Purpose: claims the tasks that run next: reads the first lanes, asks the plan, assigns idle sessions,
--   notes how many sessions each target needs more, and writes the claims. Tasks that clients pull are
--   offered instead. Tasks behind the position of a lane that was not read are left for a further round.
-- Returns: the number of tasks that were claimed or offered.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
-- (Longer than a screen: one pass over lanes and heads.)
create or replace function async.claim_tasks(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  -- A lane is read again in a further round only if others are before it, or if more of its tasks are
  -- claimed than a round has read. The first round reads one more task of a lane than its share in the
  -- workers, or than was claimed of a lane in the last cycles (the session setting pgasync.claim_depth, which
  -- doubles when a round has read too few), and each further one eight times as many.
  c_rounds_max constant int := 8;
  c_lanes_more constant int := 16;
  c_depth_decay constant float8 := 0.97;
  c_depth_max constant float8 := 64;
  -- A task waits while the sessions of its target are busy and every other session is at another target.
  -- Its target gets a further session when tasks of the same priority overtake it that are so far behind it:
  -- while the distance grows, and otherwise once a second, since one session needs time to catch up.
  c_overtaking_max constant float8 := 1000;
  c_entered_later_max constant interval := '1 second';
  c_move_every constant interval := '50 milliseconds';
  c_move_to_same_every constant interval := '1 second';
  v_skip constant bigint[] := async.tasks_backing_off(in_now);
  v_workers int;
  v_default interval;
  v_expected constant float8 := coalesce(nullif(current_setting('pgasync.claim_depth', true), ''), '1')::float8;
  v_depth int := 0;
  v_cut bool := false;
  v_lanes record;
  v_head record;
  v_idle record;
  v_at int;
  v_beyond bool;
  v_strict bool := false;
  -- The first task that waits for a session.
  v_waits_priority int;
  v_waits_entered timestamptz;
  v_waits_id bigint;
  v_waits_target text;
  v_may_move bool;
  v_distance float8;
  v_more bool := false;
  v_claim async.claim_t;
  v_round async.claim_t[];
  v_claims async.claim_t[] := '{}';
  v_left async.lane_t[];
  v_pools text[] := '{}';
  v_targets text[] := '{}';
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
  v_may_move := coalesce((select max(t.session_moved_at) + c_move_every <= in_now from pg_temp.leader_target t), true);
  update pg_temp.leader_target t set wanted = 0 where t.wanted <> 0;

  for v_number in 1..c_rounds_max loop
    v_lanes := async.claimable_lanes(in_now, v_workers, v_workers + c_lanes_more, v_pools, v_targets, v_wanted, v_strict,
      v_number = 1);
    exit when v_lanes.lanes is null;
    if v_number = 1 then
      v_idle := async.find_idle_sessions();
    end if;
    v_round := '{}';
    v_left := '{}';
    v_beyond := false;
    v_depth := greatest(v_depth * 8, ceil(v_workers::float8 / cardinality(v_lanes.lanes)), ceil(v_expected));
    for v_head in
      select p.* from async.plan_claims(v_lanes.lanes, v_workers, v_skip, in_now, v_depth) p
    loop
      -- Tasks that were not read, of these lanes or of others, may be before it.
      v_cut := v_cut or v_head.place = -1 is true and not v_beyond;
      v_beyond := v_beyond or v_head.place = -1 is true or (v_head.priority, v_head.entered, v_head.task_id)
        > (v_lanes.next_priority, v_lanes.next_entered, v_lanes.next_id) is true;
      if v_head.place = 0 and (v_waits_id is null
        or (v_head.priority, v_head.entered, v_head.task_id) < (v_waits_priority, v_waits_entered, v_waits_id))
      then
        v_waits_priority := v_head.priority;
        v_waits_entered := v_head.entered;
        v_waits_id := v_head.task_id;
        v_waits_target := v_head.target;
      elsif v_head.place > 0 and not v_head.pullable and not v_strict and v_waits_id is not null then
        if v_head.priority > v_waits_priority then
          v_strict := true;
          v_beyond := true;
        elsif v_may_move then
          v_distance := greatest((v_head.task_id - v_waits_id) / c_overtaking_max,
            extract(epoch from v_head.entered - v_waits_entered) / extract(epoch from c_entered_later_max));
          if v_distance > 1 then
            v_may_move := false;
            update pg_temp.leader_target t set overtaken_by = v_distance, session_moved_at = in_now
            where t.target = v_waits_target
              and (t.overtaken_by < v_distance or t.session_moved_at + c_move_to_same_every <= in_now);
            if found then
              v_workers := v_workers - 1;
              v_wanted := v_wanted || v_waits_target;
            end if;
          end if;
        end if;
      end if;
      if v_beyond or v_head.place > 0 is not true or v_workers < 1 and not v_head.pullable then
        v_left := v_left || row(v_head.pool, v_head.target, v_head.pullable, v_head.priority, v_head.entered,
          v_head.task_id - 1, null, null)::async.lane_t;
        continue;
      end if;
      v_pools := v_pools || v_head.pool;
      if v_head.pullable then
        v_offered := v_offered || v_head.task_id;
        continue;
      end if;
      v_workers := v_workers - 1;
      v_targets := v_targets || v_head.target;
      v_at := array_position(v_idle.targets, v_head.target);
      if v_at is null then
        v_wanted := v_wanted || v_head.target;
        v_left := v_left || row(v_head.pool, v_head.target, v_head.pullable, v_head.priority, v_head.entered,
          v_head.task_id - 1, null, null)::async.lane_t;
        continue;
      end if;
      v_idle.targets[v_at] := null;
      v_round := v_round || row(v_head.task_id, v_head.run, v_idle.workers[v_at], v_head.pool, v_head.target,
        v_head.priority, v_head.entered,
        coalesce(v_lanes.timeouts[array_position(v_lanes.targets, v_head.target)], v_default))::async.claim_t;
    end loop;

    -- A target may have got another address since its sessions were opened. Its tasks may have been
    -- pushed after that, so they wait for a session at the new address. The addresses are read after
    -- the tasks.
    v_moved := array(
      select s.target
      from unnest(v_round) c
      join pg_temp.leader_worker s on s.worker = c.worker
      left join async.target t on t.target = s.target
      where t.connection_string is distinct from s.address);
    if v_moved <> '{}' then
      foreach v_claim in array v_round loop
        if v_claim.target = any (v_moved) then
          perform async.drop_session(v_claim.worker);
          v_round := array_remove(v_round, v_claim);
          v_left := v_left || row(v_claim.pool, v_claim.target, false, v_claim.priority, v_claim.entered,
            v_claim.task_id - 1, null, null)::async.lane_t;
        end if;
      end loop;
      v_wanted := v_wanted || v_moved;
    end if;
    v_claims := v_claims || v_round;
    perform async.note_bounds(v_lanes.lanes, v_left);
    exit when v_workers < 1;
    -- Without a further lane, and with all tasks read that may be claimed, no task is left, unless it waits
    -- for a session.
    if v_lanes.next_priority is null and not v_beyond then
      exit when v_strict or v_waits_id is null;
      v_strict := true;
    end if;
    v_more := v_number = c_rounds_max;
  end loop;

  if v_cut or v_expected > 1 then
    perform set_config('pgasync.claim_depth', (case when v_cut then least(ceil(v_expected) * 2, c_depth_max)
      else greatest(v_expected * c_depth_decay, 1) end)::text, false);
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
  -- Lanes whose tasks are gone may be before many others. Then the next cycle goes on at once.
  return cardinality(v_claims) + cardinality(v_offered) + v_more::int;
end
$function$;
