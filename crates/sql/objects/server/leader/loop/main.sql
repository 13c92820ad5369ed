-- Purpose: the orchestrator: leads until it is cancelled, disabled, asked to resign or deposed.
--   With _force it takes over from the one that leads in this database: asks first, terminates when
--   that does not help. With _manual_mode it prepares and returns; async.cycle() then runs one
--   round.
-- Returns: at once, with a notice, when another orchestrator leads or async.control.enabled is
--   false.
-- Raises: PA206 when this server cannot reach itself; PA208 when the one that leads cannot be
--   removed; PA209 to a role that does not own the schema. With a warning it ends when another
--   orchestrator took the lead (PA212), or when the schema was replaced by another version (PA213).
-- Locks: two advisory locks for as long as it leads. (A procedure cannot carry a SET clause and
--   commit: it sets the search path for each transaction.)
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
  -- A lost leader whose connection comes back soon goes on with what it runs; the SQL engine is its
  -- connection.
  v_until := async.grace_ends();
  while not _force and async.leader_pid() is null and clock_timestamp() < v_until loop
    perform pg_sleep(0.2);
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
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    perform async.begin_lead();
  exception when query_canceled or assert_failure or others then
    perform async.abandon_lead();
    raise;
  end;
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    perform async.run_routines('STARTUP');
  exception when query_canceled then
    update pg_temp.leader_state set stop = 'cancelled';
  end;
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

  -- Let what runs end, unless a cancel came; then pause the rest.
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
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    exit when v_ended;
  end loop;
  perform async.abandon_lead();
  commit;
end
$procedure$;
