-- Purpose: applies a changed configuration to the memory of the leader: workers, targets with their
--   health, limits of pools, the next firing of a schedule.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: a list of what follows the configuration.)
create or replace function async.refresh_configuration()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_control async.control;
  v_worker record;
  v_workers int;
begin
  select c.* into v_control from async.control c;
  update pg_temp.leader_state s set limits_starts = n.limits, receipts = s.receipts or n.receipts
  from (
    select exists (select from async.concurrency_pool p where p.starts_max > 0) as limits,
      exists (select from async.target t where t.receipts) as receipts
  ) n
  where s.limits_starts <> n.limits or n.receipts and not s.receipts;
  v_workers := v_control.workers + (select count(*) from pg_temp.leader_worker s where s.unreachable);

  -- More workers at once; fewer as they become free.
  insert into pg_temp.leader_worker (worker, conn)
  select n, 'pgasync_slot_' || n from generate_series(1, v_workers) n
  on conflict do nothing;
  for v_worker in
    select s.worker from pg_temp.leader_worker s
    where s.worker > v_workers and s.state in ('empty', 'idle')
  loop
    perform async.drop_session(v_worker.worker);
    delete from pg_temp.leader_worker s where s.worker = v_worker.worker;
  end loop;

  -- Sessions that were idle for five minutes are closed.
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state = 'idle' and s.since < clock_timestamp() - interval '5 minutes';

  insert into pg_temp.leader_helper (helper, conn, lane)
  select n, 'pgasync_helper_' || n, case n when 1 then 'cancel' when 2 then 'fresh' else 'general' end
  from generate_series(1, greatest(v_control.self_concurrency, 3)) n
  on conflict do nothing;
  if not exists (select from pg_temp.leader_helper h where h.replaced) then
    perform async.close_session(h.conn)
    from pg_temp.leader_helper h
    where h.helper > greatest(v_control.self_concurrency, 3) and h.state = 'idle';
    delete from pg_temp.leader_helper h
    where h.helper > greatest(v_control.self_concurrency, 3) and h.state in ('closed', 'idle');
  end if;

  -- A target with a changed address is probed, and idle sessions at the old address are dropped.
  for v_worker in
    select s.worker
    from pg_temp.leader_worker s
    left join async.target t on t.target = s.target
    where s.state = 'idle' and t.connection_string is distinct from s.address
  loop
    perform async.drop_session(v_worker.worker);
  end loop;
  -- No "on conflict do update": it would lock unchanged rows, and so take a transaction id.
  update pg_temp.leader_target o
  set connection_string = t.connection_string,
      default_timeout = t.default_timeout,
      session_reset = t.session_reset,
      max_concurrency = t.max_concurrency,
      max_sessions = t.max_sessions,
      paused = t.paused,
      configured = true,
      health = case when o.connection_string is distinct from t.connection_string then 'unknown' else o.health end,
      fresh = o.fresh or o.connection_string is distinct from t.connection_string,
      failures = case when o.connection_string is distinct from t.connection_string then 0 else o.failures end,
      -- The tasks of a target that was paused have not waited for it.
      down_since = case when o.connection_string is distinct from t.connection_string then null
        when o.paused and not t.paused and o.down_since is not null then clock_timestamp()
        else o.down_since end,
      retry_at = case when o.paused and not t.paused then '-infinity' else o.retry_at end
  from async.target t
  where t.target = o.target
    and (o.connection_string, o.default_timeout, o.session_reset, o.max_concurrency, o.max_sessions, o.paused,
        o.configured)
      is distinct from
      (t.connection_string, t.default_timeout, t.session_reset, t.max_concurrency, t.max_sessions, t.paused, true);
  insert into pg_temp.leader_target (target, connection_string, default_timeout, session_reset, max_concurrency,
    max_sessions, paused, health, fresh, met_at, retry_at)
  select t.target, t.connection_string, t.default_timeout, t.session_reset, t.max_concurrency, t.max_sessions,
    t.paused, 'unknown', true, null, clock_timestamp()
  from async.target t
  where not exists (select from pg_temp.leader_target o where o.target = t.target);
  -- Of the sessions above a lower limit, the idle ones are closed at once.
  perform async.drop_session(s.worker)
  from (
    select w.worker, w.state, t.max_sessions,
      row_number() over (partition by w.target order by w.state = 'idle', w.since desc, w.worker) as place
    from pg_temp.leader_worker w
    join pg_temp.leader_target t on t.target = w.target
    where w.state <> 'empty'
  ) s
  where s.state = 'idle' and s.place > s.max_sessions;

  update pg_temp.leader_target o set configured = false
  where o.configured and not exists (select from async.target t where t.target = o.target);

  -- A helper probes a target that was not used for a minute before the leader connects to it again.
  update pg_temp.leader_target o set health = 'unknown'
  where o.health = 'ok' and o.met_at < clock_timestamp() - interval '1 minute'
    and not exists (select from pg_temp.leader_worker s where s.target = o.target);

  perform async.refresh_pool_limits();
  perform async.note_next_firing(async.next_firing(clock_timestamp()));
end
$function$;
