-- Purpose: the deciding part of a cycle, in one transaction: runs the stages that are due. Each
--   stage is a block of its own: the error of a stage is logged, and the next stage runs.
-- Returns: the amount of work that was done, and whether a cancel arrived.
-- Raises: nothing, unless the recovery from a failed stage fails.
-- Locks: async.leader as async.hold_epoch; the rows of async.task that it changes; never waits for
--   one.
-- (Longer than a screen: a list of the stages.)
create or replace function async.run_stages(out did int, out cancelled bool)
language plpgsql
as $function$
declare
  v_now constant timestamptz := clock_timestamp();
  v_state record;
  v_stage text;
begin
  did := 0;
  cancelled := false;
  begin
    perform async.hold_epoch(l.epoch) from pg_temp.leader_state l;
    select l.stop, l.manual, l.epoch, c.enabled, c.paused, c.loop_routines, g.resign_epoch
    into v_state
    from pg_temp.leader_state l cross join async.control c cross join async.leader g;
    if v_state.stop is null and (not v_state.enabled or v_state.resign_epoch >= v_state.epoch) then
      v_state.stop := case when v_state.enabled then 'asked to by a forced takeover' else 'disabled' end;
      update pg_temp.leader_state set stop = v_state.stop;
    end if;
  exception
    when query_canceled then
      cancelled := true;
      return;
    when sqlstate 'PA212' then
      perform async.lose_lead();
      return;
    when assert_failure or others then
      perform async.note_failure('begin', sqlerrm, sqlstate);
      return;
  end;
  foreach v_stage in array async.due_stages(
    v_state.manual, v_state.loop_routines <> '{}' and v_state.stop is null,
    v_state.stop is null and not v_state.paused, v_now)
  loop
    begin
      case v_stage
        when 'reap' then did := did + async.reap_sessions();
        when 'requests' then did := did + async.apply_requests(v_now);
        when 'record' then did := did + async.record_results(v_now);
        when 'claim' then did := did + async.claim_tasks(v_now);
        when 'listen' then perform async.heed_notifications();
        when 'poll' then perform async.poll(v_now, v_state.manual);
        when 'review' then perform async.review_lanes();
        when 'compact' then perform async.compact_memory();
        when 'forget' then perform async.forget_unused();
        when 'routines' then perform async.run_routines('LOOP');
        when 'configure' then
          perform async.check_lead();
          perform async.refresh_configuration();
        when 'deadlines' then did := did + async.enforce_deadlines(v_now);
        when 'helpers' then did := did + async.run_helpers();
        when 'orphans' then did := did + async.resolve_orphans(v_now);
        when 'promote' then did := did + async.promote_deferred(v_now);
        when 'offers' then perform async.yield_offers(v_now);
        when 'broken' then did := did + async.find_broken_sessions() + async.drop_silent_sessions();
        when 'lost_targets' then did := did + async.fail_tasks_of_lost_targets(v_now) + async.take_write_offs();
        when 'publish' then perform async.publish();
        when 'maintain' then perform async.maintain(v_now);
      end case;
    exception
      when query_canceled then
        cancelled := true;
        perform async.recover_interrupted_stage(v_stage);
      when assert_failure or others then
        perform async.note_failure(v_stage, sqlerrm, sqlstate);
        perform async.recover_interrupted_stage(v_stage);
    end;
  end loop;
end
$function$;
