-- Purpose: opens sessions at targets whose tasks wait for one, at most four in a cycle, so that
--   running queries are polled often enough, and none after one that took long. Empty workers get them
--   first, then the worker with the longest idle session of another target. A target whose last
--   session took long waits until that time is compensated (see async.note_blocked_time).
-- Returns: the number of sessions.
-- Raises: nothing because of a single target.
-- Locks: the rows of async.session of the sessions that it drops.
create or replace function async.open_wanted_sessions()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_opens_per_cycle_max constant int := 4;
  v_want record;
  v_worker record;
  v_address text;
  v_conninfo text;
  v_began timestamptz;
  v_slow bool;
  v_error text;
  v_opened int := 0;
  v_watched constant bool := current_setting('server_version_num')::int >= 160000;
begin
  for v_want in
    select t.target, t.version, t.startup_options, t.session_failures,
      -- The first session of a target identifies itself before others are opened, so a target that
      -- does not answer takes one worker.
      least(case when t.identified then t.wanted else 1 end - n.coming, t.max_sessions - n.sessions) as missing
    from pg_temp.leader_target t
    cross join lateral (
      select count(*) as sessions, count(*) filter (where s.state in ('identifying', 'cleaning')) as coming
      from pg_temp.leader_worker s
      where s.target = t.target and s.state <> 'empty'
    ) n
    where t.wanted > 0 and t.health = 'ok'
      and (not t.connects_slowly or async.may_block_again(clock_timestamp()))
    order by t.met_at, t.target
  loop
    continue when v_want.session_failures > 0 and not async.may_identify_more();
    for v_session in 1..v_want.missing loop
      exit when v_opened >= c_opens_per_cycle_max;
      select s.worker, s.conn, s.state into v_worker
      from pg_temp.leader_worker s
      -- A worker with a lost session at an unreachable host holds no connection.
      where s.state = 'empty' and (
          select count(*) < (select c.workers from async.control c)
          from pg_temp.leader_worker o where o.state <> 'empty' and not o.unreachable)
        or s.state = 'idle' and s.target <> v_want.target
      order by s.state = 'idle', s.since, s.worker
      limit 1;
      exit when not found;
      if v_worker.state = 'idle' then
        perform async.drop_session(v_worker.worker);
      end if;
      perform async.close_session(v_worker.conn);
      -- Read first: if it changes in between, the session counts as one at an old address.
      v_address := (select t.connection_string from async.target t where t.target = v_want.target);
      v_conninfo := async.target_conninfo(
        v_want.target, v_worker.worker::text, v_want.version >= 140000 and v_want.startup_options, 2);
      v_began := clock_timestamp();
      v_error := async.open_session(v_worker.conn, v_conninfo, v_watched);
      v_opened := v_opened + 1;
      v_slow := async.note_blocked_time(clock_timestamp() - v_began);
      update pg_temp.leader_target t set connects_slowly = v_slow
      where t.target = v_want.target and t.connects_slowly <> v_slow;
      if v_error is not null then
        -- A proxy may refuse startup options, so the next attempt goes without them.
        if v_want.startup_options and v_want.version >= 140000 and not v_slow then
          update pg_temp.leader_target t set startup_options = false where t.target = v_want.target;
        else
          perform async.note_session_failure(v_want.target, v_error);
        end if;
        exit;
      end if;
      perform public.dblink_send_query(v_worker.conn, async.identity_query());
      update pg_temp.leader_worker s
      set state = 'identifying', target = v_want.target, conninfo = v_conninfo, address = v_address,
        results_left = default, receiving_left = default, since = clock_timestamp()
      where s.worker = v_worker.worker;
      exit when v_slow;
    end loop;
    exit when v_slow;
  end loop;
  return v_opened;
end
$function$;
