-- The reasons for waiting: a row for each lane (a pool and a target) with waiting tasks, with the
-- reason for its first task. kind: query, pull (no query; to be offered), offered (a client may
-- take it), deferred. waiting is counted up to 10000; more is true if there are more. The cost
-- grows with the number of lanes, and not with the number of tasks.
create or replace view async.v_why_waiting as
select
  n.concurrency_pool,
  n.target,
  n.kind,
  n.waiting,
  n.more,
  n.oldest,
  clock_timestamp() - n.oldest as waiting_for,
  n.first_task_id,
  case
    when not s.leads and not s.enabled then 'no orchestrator leads, and async.control.enabled is false'
    when not s.leads and async.standby_sessions() > 0 then 'no orchestrator leads: a standby takes over'
    when not s.leads then 'no orchestrator leads: start one with pgasync run or call async.main()'
    when not s.enabled then 'the orchestrator is stopping: async.control.enabled is false'
    when n.kind = 'deferred' and n.back > now() and n.attempt > 0
      then format('waits for attempt %s of %s at %s', n.attempt + 1, n.max_attempts, date_trunc('second', n.back))
    when n.kind = 'deferred' and n.back > now()
      then format('deferred: the first comes back at %s', date_trunc('second', n.back))
    when s.paused then 'no new starts: async.control.paused is true'
    when t.paused then format('target %s is paused', n.target)
    when l.paused then format('pool %s is paused', n.concurrency_pool)
    when n.kind = 'deferred' then 'the deferral is over: it is about to join the queue'
    when n.kind = 'offered' then format('offered: waits for a client to call async.get_tasks(%L)', n.target)
    when t.state is null then 'there is no such target any more: its tasks are about to fail'
    when t.state = 'lost' and n.kind = 'query' and t.patience_ends is null
      then 'needs pgasync run: the password of the target is a reference, which the SQL engine does not resolve'
    when t.state = 'lost' and n.kind = 'query' then format('the target is lost since %s: %s; %stasks that waited until %s fail',
      date_trunc('second', t.since), split_part(t.error, E'\n', 1),
      'next try at ' || date_trunc('second', t.retry_at)::text || '; ', date_trunc('second', t.patience_ends))
    when t.state = 'fencing' and n.kind = 'query' then 'sessions of a lost orchestrator are being ended at the target'
    when p.max_workers <= 0 then 'its pool may hold no task: the limit is 0'
    when p.workers >= p.max_workers then format('its pool is full: %s of %s', p.workers, p.max_workers)
    when n.kind = 'query' and x.sessions >= x.max_sessions and x.busy
      then format('its target has as many sessions as it may have (max_sessions): %s', x.max_sessions)
    when n.kind = 'query' and s.busy >= s.workers then format('all %s workers are busy', s.workers)
    when g.message is not null then g.message
    when l.starts_max > 0 then format('its pool starts at most %s tasks in %s, evenly spaced', l.starts_max, l.interval)
    when n.oldest > clock_timestamp() - interval '5 seconds' then 'it is about to start'
    when t.retired then 'its turn comes: the target is retired, takes no new tasks, and finishes what it has'
    else 'its turn comes as others end; a first task that stays is one whose row a client holds, or whose target '
      'has not been reached yet (async.server_log names targets that block helper sessions)'
  end as reason
from (
  select d.pool as concurrency_pool, d.target, case when d.pullable then 'pull' else 'query' end as kind,
    b.waiting, b.more, b.oldest, b.first_task_id, null::timestamptz as back,
    null::int as attempt, null::int as max_attempts
  from async.discover_lanes() d
  cross join lateral async.lane_backlog(d.pool, d.target, d.pullable) b
  union all
  select o.pool, o.target, 'offered', count(*), false, min(o.entered),
    (array_agg(o.task_id order by o.priority, o.entered, o.task_id))[1], null, null, null
  from async.offer o
  group by o.pool, o.target
  union all
  -- The first 10000 deferred tasks whose deferral ends.
  select coalesce(e.concurrency_pool, e.target), e.target, 'deferred', count(*), sum(count(*)) over () >= 10000,
    min(e.entered), (array_agg(e.task_id order by e.eligible_when, e.task_id))[1], min(e.eligible_when),
    (array_agg(e.attempt order by e.eligible_when, e.task_id))[1],
    (array_agg((e.retry ->> 'max_attempts')::int order by e.eligible_when, e.task_id))[1]
  from (
    select r.task_id, r.concurrency_pool, r.target, r.entered, r.eligible_when, r.attempt, r.retry
    from async.task r
    where r.eligible_when is not null and r.processed is null
    order by r.eligible_when
    limit 10000
  ) e
  group by coalesce(e.concurrency_pool, e.target), e.target
) n
cross join (
  select c.enabled, c.paused, c.workers, async.active_workers() as busy, async.leader_exists() as leads
  from async.control c
  -- The planner does not know that the table has one row, since it is never analyzed.
  limit 1
) s
left join async.v_target_state t on t.target = n.target
left join lateral (
  select coalesce(k.workers, 0) as workers, async.pool_limit(n.concurrency_pool) as max_workers
  from (select) one
  left join async.concurrency_pool_tracker k on k.concurrency_pool = n.concurrency_pool
) p on true
left join async.concurrency_pool l on l.concurrency_pool = n.concurrency_pool
left join lateral (
  select a.max_sessions, (select count(*) from async.session e where e.target = a.target) as sessions,
    exists (select from async.worker w where w.target = a.target and w.task_id is not null) as busy
  from async.target a
  where a.target = n.target and a.max_sessions is not null
) x on true
left join lateral (
  select h.message
  from async.server_log h
  where h.happened > now() - interval '1 minute'
    and h.message like format('task %s cannot be %%', n.first_task_id)
  order by h.server_log desc
  limit 1
) g on n.kind in ('query', 'pull')
order by n.concurrency_pool, n.target, n.kind;
