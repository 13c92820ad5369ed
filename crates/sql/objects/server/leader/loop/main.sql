-- Purpose: the SQL engine: leads until it is canceled, disabled, asked to resign or deposed. _force
--   takes the lead from the present leader of this database: asks it to resign, and terminates its
--   backend if that does not help. _manual_mode prepares and returns; then async.cycle() runs one
--   cycle.
-- Returns: at once, with a notice, when another orchestrator leads or async.control.enabled is
--   false.
-- Raises: PA206 when this server cannot connect to itself; PA208 when the present leader cannot be
--   removed; PA209 for a role that does not own the schema. It ends with a warning when another
--   orchestrator took the lead (PA212), or when another version of the schema was installed
--   (PA213, an error if that version cannot continue).
-- Locks: the two advisory locks of the leader, while it leads. (A procedure with a SET clause
--   cannot commit, so it sets the search_path in each transaction.)
-- (Longer than a screen: what commits between steps cannot be called from a function.)
create or replace procedure async.main(
  _force bool default false,
  _manual_mode bool default false
)
language plpgsql
as $procedure$
declare
  c_drain_seconds constant float := 10;
  c_stop_seconds constant float := 10;
  c_goodbyes_max constant int := 5;
  v_last timestamp with time zone;
  v_show boolean := true;
  v_until timestamp with time zone;
  v_left int;
  v_ended boolean := false;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_last := clock_timestamp();
  perform async.check_main();
  if not _force and not (select c.enabled from async.control c) then
    raise notice 'the orchestrator is disabled: set async.control.enabled, or call async.main(_force => true)';
    return;
  end if;
  -- A lost Rust engine whose connection returns soon continues its queries. An SQL engine ends with
  -- its connection.
  v_until := async.grace_ends();
  while not _force and async.leader_pid() is null and clock_timestamp() < v_until loop
    perform pg_sleep(0.2);
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  if not async.take_locks() then
    if not _force then
      raise notice '%', async.describe_leader();
      return;
    end if;
    call async.take_over();
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end if;
  begin
    perform async.prepare_session();
  exception when query_canceled or assert_failure or others then
    perform async.abandon_lead();
    raise;
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    perform async.begin_lead();
  exception when query_canceled or assert_failure or others then
    perform async.abandon_lead();
    raise;
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    perform async.run_routines('STARTUP');
  exception when query_canceled then
    update pg_temp.leader_state set stop = 'cancelled';
  end;
  perform async.wait_for_commit();
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if _manual_mode then
    update pg_temp.leader_state set manual = true;
    raise notice 'prepared: call async.cycle() runs one round';
    return;
  end if;

  loop
    call async.cycle(v_last, v_show);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when (select l.stop is not null from pg_temp.leader_state l);
  end loop;

  -- Running queries may end, unless a cancel came. Then the rest is paused.
  v_until := clock_timestamp() + c_drain_seconds * interval '1 second';
  while (select l.stop <> 'cancelled' and not l.deposed from pg_temp.leader_state l) and clock_timestamp() < v_until
    and exists (select from pg_temp.leader_worker s where s.state in ('claimed', 'running', 'ended'))
  loop
    call async.cycle(v_last, v_show);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  v_until := clock_timestamp() + c_stop_seconds * interval '1 second';
  while not (select l.deposed from pg_temp.leader_state l) loop
    v_left := async.stop_launched();
    exit when v_left = 0 or clock_timestamp() > v_until;
    call async.cycle(v_last, v_show);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  for v_try in 1..c_goodbyes_max loop
    begin
      perform async.end_lead();
      v_ended := true;
    exception when query_canceled or assert_failure or others then
      perform async.note_failure('end', sqlerrm, sqlstate);
    end;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when v_ended;
  end loop;
  perform async.abandon_lead();
  perform async.wait_for_commit();
  commit;
end
$procedure$;
