-- Purpose: sleeps after a cycle without work, for twice the time from the last work to in_began.
--   While queries run, it polls their sessions every millisecond and returns when one has an
--   answer, after busy_sleep at the latest. While none runs, it sleeps for up to idle_sleep, or until a
--   schedule fires or a pool that limits its starts may start its next task, and a notification ends the
--   sleep (async.sleep_until).
-- Returns: whether the sleep goes on (the caller commits, and calls it again with the same times),
--   and whether a notification has ended it.
-- Raises: as async.sleep_until.
-- Locks: as async.sleep_until.
create or replace function async.await_work(
  in_last_did_stuff timestamptz, in_began timestamptz, out out_sleeps bool, out out_woken bool
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- A shorter sleep is not worth the writes and the second poll of falling asleep.
  c_nap constant interval := '40 milliseconds';
  v_control async.control;
  v_sleep interval := 2 * (in_began - in_last_did_stuff);
  v_conns text[];
begin
  out_sleeps := false;
  out_woken := false;
  select c.* into v_control from async.control c;
  v_conns := array(
    select s.conn from pg_temp.leader_worker s where s.state in ('running', 'cleaning', 'identifying')
    union all
    select h.conn from pg_temp.leader_helper h where h.state = 'busy');
  if cardinality(v_conns) = 0 then
    v_sleep := least(v_sleep, v_control.idle_sleep * interval '1 second');
    v_sleep := least(v_sleep, async.firing_time() - in_began);
    if (select s.limits_starts from pg_temp.leader_state s) then
      v_sleep := least(v_sleep, (
        select min(p.started_at + p.spacing)
        from pg_temp.leader_pool p
        where p.spacing is not null and p.started_at + p.spacing > in_began
          and exists (select from pg_temp.leader_lane l where l.pool = p.pool and not l.exhausted)) - in_began);
    end if;
    if v_sleep >= c_nap then
      select s.out_sleeps, s.out_woken into out_sleeps, out_woken from async.sleep_until(in_began + v_sleep) s;
    else
      perform pg_sleep(greatest(0.001, extract(epoch from v_sleep)::float8));
    end if;
    return;
  end if;
  v_sleep := least(v_sleep, v_control.busy_sleep * interval '1 second');
  loop
    perform pg_sleep(0.001);
    exit when clock_timestamp() >= in_began + v_sleep
      or exists (select from unnest(v_conns) c where public.dblink_is_busy(c) = 0);
  end loop;
end
$function$;
