-- Purpose: the deciding half of a cycle, in one transaction: takes in what came, heeds requests and deadlines,
--   records, and claims what runs next. Each stage is on its own: one that raises is logged, and the next goes on.
-- Returns: how much was done, and whether a cancel came.
-- Raises: nothing.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.run_stages(out did int, out cancelled bool)
language plpgsql
as $function$
declare
  v_now constant timestamptz := clock_timestamp();
  v_control async.control;
  v_state record;
  v_stage text;
  v_resign bigint;
begin
  did := 0;
  cancelled := false;
  select c.* into v_control from async.control c;
  select l.* into v_state from pg_temp.leader_state l;
  select l.resign_epoch into v_resign from async.leader l;
  if v_state.stop is null and (not v_control.enabled or v_resign >= v_state.epoch) then
    update pg_temp.leader_state
    set stop = case when v_control.enabled then 'asked to by a forced takeover' else 'disabled' end;
    v_state.stop := 'asked';
  end if;
  foreach v_stage in array array[
    'configure', 'reap', 'requests', 'deadlines', 'record', 'helpers', 'orphans', 'promote', 'routines',
    'lanes', 'cleaned', 'claim', 'patience', 'publish', 'maintain']
  loop
    begin
      case v_stage
        when 'configure' then
          if v_state.manual or v_state.configured_at < v_now - interval '200 milliseconds' then
            perform async.refresh_configuration();
          end if;
        when 'reap' then
          did := did + async.reap_sessions();
          if v_state.manual or v_state.patience_at < v_now - interval '500 milliseconds' then
            did := did + async.find_broken_sessions();
          end if;
        when 'requests' then
          did := did + async.apply_requests(v_now);
        when 'deadlines' then
          did := did + async.enforce_deadlines(v_now);
        when 'record' then
          did := did + async.record_results(v_now);
        when 'helpers' then
          did := did + async.run_helpers();
        when 'orphans' then
          perform from pg_temp.leader_orphan o limit 1;
          if found then
            did := did + async.resolve_orphans(v_now);
          end if;
        when 'promote' then
          did := did + async.promote_deferred(v_now);
        when 'routines' then
          if v_control.loop_routines <> '{}' and v_state.stop is null then
            perform async.run_routines('LOOP');
          end if;
        when 'lanes' then
          if v_state.manual or v_state.lanes_due_at <= v_now then
            perform async.refresh_lanes(v_now);
          end if;
          perform from async.offer o limit 1;
          if found then
            perform async.yield_offers(v_now);
          end if;
        when 'cleaned' then
          -- The resets that went out when the results came in are mostly done by now.
          did := did + async.reap_sessions('{cleaning}');
        when 'claim' then
          if v_state.stop is null and not v_control.paused then
            did := did + async.claim_tasks(v_now);
          end if;
        when 'patience' then
          if v_state.manual or v_state.patience_at < v_now - interval '500 milliseconds' then
            did := did + async.fail_impatient(v_now);
          end if;
        when 'publish' then
          if v_state.manual or v_state.published_at < v_now - interval '700 milliseconds' then
            perform async.publish();
          end if;
        when 'maintain' then
          if v_state.published_at < v_now - interval '700 milliseconds' then
            perform async.maintain(v_now);
          end if;
      end case;
    exception
      when query_canceled then
        cancelled := true;
      when assert_failure or others then
        perform async.log_quiet('ERROR', format('stage %s: %s (%s)', v_stage, sqlerrm, sqlstate));
    end;
  end loop;
end
$function$;
