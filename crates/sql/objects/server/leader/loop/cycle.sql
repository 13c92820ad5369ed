-- Purpose: one cycle of the orchestrator: decide and commit, mark and commit, send. main() calls it
--   in a loop, and in manual mode a test or an operator calls it. With a time in _last_did_stuff it
--   also sleeps if there was no work: up to busy_sleep while queries run, up to idle_sleep
--   otherwise.
-- Returns: the time of the last work.
-- Raises: PA207 in a session that does not lead, PA213 when the schema was replaced by a version that
--   cannot continue; no other error.
-- Locks: those of the stages. (A procedure with a SET clause cannot commit, so it sets the
--   search_path in each transaction.)
-- (Longer than a screen: what commits between steps cannot be called from a function.)
create or replace procedure async.cycle(
  inout _last_did_stuff timestamptz default null,
  inout _show_message bool default null
)
language plpgsql
as $procedure$
declare
  v_latch bigint;
  v_did int;
  v_cancelled boolean := false;
  v_marked boolean := false;
  v_opened int := 0;
  v_cycle_began timestamp with time zone;
  v_began timestamp with time zone;
  v_noted boolean;
  v_sleeps boolean;
  v_woken boolean := false;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_cycle_began := clock_timestamp();
  if to_regclass('pg_temp.leader_state') is null or _last_did_stuff is null and not async.is_leader() then
    raise exception 'this session does not lead'
      using errcode = 'PA207', hint = 'call async.main(_manual_mode => true) first';
  end if;
  if exists (select from pg_temp.leader_state l where l.stop is null and l.fingerprint <> async.schema_fingerprint()) then
    perform async.carry_over_memory();
  end if;
  -- Every error between two commits is caught: a lock on a table for a moment must not end main().
  begin
    v_latch := async.latch_number();
    select r.did, r.cancelled into v_did, v_cancelled from async.run_stages() r;
  exception
    when query_canceled then
      v_cancelled := true;
      perform async.recover_interrupted_cycle();
    when assert_failure or others then
      perform async.note_failure('cycle', sqlerrm, sqlstate);
      perform async.recover_interrupted_cycle();
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

  if exists (select from pg_temp.leader_worker s where s.state = 'claimed') then
    begin
      perform async.mark_launches();
      v_marked := true;
    exception
      when query_canceled then
        v_cancelled := true;
      when sqlstate 'PA212' then
        perform async.lose_lead();
      when assert_failure or others then
        -- The tasks stay claimed, and are marked in the next cycle.
        perform async.note_failure('mark', sqlerrm, sqlstate);
    end;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end if;
  if v_marked then
    begin
      perform async.send_launches();
    exception
      when query_canceled then
        v_cancelled := true;
        perform async.recover_interrupted_launches();
      when assert_failure or others then
        perform async.note_failure('send', sqlerrm, sqlstate);
        perform async.recover_interrupted_launches();
    end;
  end if;
  begin
    if exists (select from pg_temp.leader_target t where t.wanted > 0) then
      v_opened := async.open_wanted_sessions();
    end if;
    perform async.serve_latch(v_latch);
    v_noted := async.note_value('pgasync_loop_seconds', async.metric_bounds('pgasync_loop_seconds'),
      extract(epoch from clock_timestamp() - v_cycle_began)::double precision) is not null;
  exception
    when query_canceled then
      v_cancelled := true;
    when assert_failure or others then
      perform async.note_failure('open', sqlerrm, sqlstate);
  end;
  if v_did + v_opened > 0 and _last_did_stuff is not null and not v_cancelled then
    -- The memory has what was sent. It is committed with the decisions of the next cycle.
    _last_did_stuff := clock_timestamp();
    return;
  end if;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_began := clock_timestamp();
  loop
    v_sleeps := false;
    begin
      if _last_did_stuff is not null and not v_cancelled then
        select w.out_sleeps, w.out_woken into v_sleeps, v_woken from async.await_work(_last_did_stuff, v_began) w;
      end if;
    exception
      when query_canceled then
        v_cancelled := true;
      when sqlstate 'PA212' then
        perform async.lose_lead();
      when assert_failure or others then
        perform async.note_failure('wait', sqlerrm, sqlstate);
    end;
    if v_woken then
      _last_did_stuff := clock_timestamp();
    end if;
    -- The commit of a leader that falls asleep is asynchronous. That of the next claims is not.
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when not v_sleeps;
  end loop;
  -- It does not sleep again before it has polled (async.sleep_until).
  perform pg_catalog.set_config('pgasync.polled', '', false);
  if v_cancelled then
    update pg_temp.leader_state set stop = coalesce(stop, 'cancelled');
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end if;
end
$procedure$;
