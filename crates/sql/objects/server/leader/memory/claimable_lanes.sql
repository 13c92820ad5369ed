-- Purpose: the lanes of which the leader may claim or offer a task now, at most in_max of them, in the
--   order of their positions: those with a free pool slot whose target can run a task. in_pools and
--   in_targets have the pools and targets of the tasks that were chosen in this cycle already. Lanes
--   of targets in in_closed are left out. Without in_strict, a target takes no more tasks than it has
--   idle sessions, if a further session would take the place of a session at another target.
-- Returns: the lanes, each with its free pool slots and the number of tasks that its target takes;
--   their targets with the default timeouts; and the position of the next lane: the tasks of all lanes
--   that are left out for in_max are behind it (null: none is left out).
-- Raises: nothing.
-- Locks: none.
create or replace function async.claimable_lanes(
  in_now timestamptz, in_workers int, in_max int, in_pools text[], in_targets text[], in_closed text[],
  in_strict bool, in_first bool,
  out lanes async.lane_t[], out targets text[], out timeouts interval[],
  out next_priority int, out next_entered timestamptz, out next_id bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set enable_mergejoin = off
as $function$
declare
  v_may_block constant bool := async.may_block_again(in_now);
  v_may_identify constant bool := async.may_identify_more();
  v_replaces constant bool := not in_strict and (
    select count(*) >= (select c.workers from async.control c)
    from pg_temp.leader_worker s where s.state <> 'empty' and not s.unreachable);
begin
  select
    array_agg(row(n.pool, n.target, n.pullable, n.after_priority, n.after_entered, n.after_id, n.free,
      n.heads_max)::async.lane_t) filter (where n.place <= in_max),
    array_agg(n.target) filter (where n.place <= in_max),
    array_agg(n.default_timeout) filter (where n.place <= in_max),
    max(n.after_priority) filter (where n.place > in_max),
    max(n.after_entered) filter (where n.place > in_max),
    max(n.after_id) filter (where n.place > in_max)
  into lanes, targets, timeouts, next_priority, next_entered, next_id
  from (
    select c.*, row_number() over (order by c.after_priority, c.after_entered, c.after_id) as place
    from (
      select l.pool, l.target, l.pullable, l.after_priority, l.after_entered, l.after_id, t.default_timeout,
        p.max_workers - p.taken - coalesce(u.tasks, 0) as free, t.heads_max
      from pg_temp.leader_lane l
      join pg_temp.leader_pool p on p.pool = l.pool
      join (
        select a.target, a.default_timeout,
          -- A target at which no further session is opened is used with the sessions that it has. Of
          -- those above a lower limit, the idle ones are about to be closed.
          least(
            case when v_replaces and a.sessions > 0 or not a.opens then a.idle when not a.identified then a.idle + 1 end,
            greatest(a.idle + a.max_sessions - a.sessions, case when a.max_sessions is not null then 0 end))
            - coalesce(v.tasks, 0) as heads_max,
          in_workers > 0 and (a.opens or a.idle > 0) and (not a.reads_slowly or v_may_block)
            and a.target <> all (in_closed)
            -- The first round sees which task waits for a session. Later ones leave out the lanes at such
            -- targets, of which there may be many before all others.
            and (not v_replaces or in_first or a.sessions = 0 or a.idle > coalesce(v.tasks, 0))
            and not exists (select from pg_temp.leader_fence f where f.target = a.target and f.older) as runs
        from (
          select t.target, t.default_timeout, t.max_sessions, t.identified, t.reads_slowly,
            coalesce(i.idle, 0) as idle, coalesce(i.sessions, 0) as sessions,
            -- The tasks of a target that opens no session now take no workers from others.
            t.health = 'ok' and (not t.connects_slowly or v_may_block)
              and (t.identified or i.identifying is not true and (v_may_identify or t.session_failures = 0))
              and (t.max_sessions is null or coalesce(i.sessions, 0) < t.max_sessions) as opens
          from pg_temp.leader_target t
          left join (
            select s.target, count(*) filter (where s.state in ('idle', 'cleaning'))::int as idle,
              bool_or(s.state = 'identifying') as identifying, count(*)::int as sessions
            from pg_temp.leader_worker s
            where s.state <> 'empty'
            group by s.target
          ) i on i.target = t.target
        ) a
        left join (
          select n.target, count(*)::int as tasks from unnest(in_targets) n(target) group by n.target
        ) v on v.target = a.target
        offset 0
      ) t on t.target = l.target
      left join (select n.pool, count(*)::int as tasks from unnest(in_pools) n(pool) group by n.pool) u on u.pool = l.pool
      where not l.exhausted and p.taken + coalesce(u.tasks, 0) < p.max_workers
        and case when l.pullable then p.offers_held_until <= in_now else t.runs end
      order by l.after_priority, l.after_entered, l.after_id, l.pool, l.target
      limit in_max + 1
    ) c
  ) n;
end
$function$;
