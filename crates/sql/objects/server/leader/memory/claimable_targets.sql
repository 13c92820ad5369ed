-- Purpose: what each target takes now. in_targets has the targets of the tasks that were chosen in this
--   cycle already. Targets in in_closed take nothing. Without in_strict, a target takes no more tasks
--   than it has idle sessions, if a further session would take the place of a session at another
--   target.
-- Returns: all targets that are not paused, each with its default timeout and the number of tasks that it takes (null: no
--   limit of its own), and in running those at which a task can run.
-- Raises: nothing.
-- Locks: none.
create or replace function async.claimable_targets(
  in_now timestamptz, in_workers int, in_targets text[], in_closed text[], in_strict bool, in_first bool,
  out targets text[], out timeouts interval[], out heads_max int[], out running text[]
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
  select array_agg(t.target), array_agg(t.default_timeout), array_agg(t.heads_max),
    coalesce(array_agg(t.target) filter (where t.runs), '{}')
  into targets, timeouts, heads_max, running
  from (
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
      where not t.paused
    ) a
    left join (
      select n.target, count(*)::int as tasks from unnest(in_targets) n(target) group by n.target
    ) v on v.target = a.target
  ) t;
end
$function$;
