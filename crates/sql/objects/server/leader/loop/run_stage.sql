-- Purpose: runs a stage of a cycle (async.due_stages).
-- Returns: the amount of work that was done; 0 for stages that only look.
-- Raises: the errors of the stage. The caller handles them.
-- Locks: those of the stage.
-- (Longer than a screen: a list of the stages.)
create or replace function async.run_stage(in_stage text, in_now timestamptz, in_manual bool)
returns int
language plpgsql
as $function$
begin
  case in_stage
    when 'reap' then return async.reap_sessions();
    when 'requests' then return async.apply_requests(in_now);
    when 'record' then return async.record_results(in_now);
    when 'claim' then return async.claim_tasks(in_now);
    when 'poll' then perform async.poll(in_now, in_manual);
    when 'deadlines' then return async.enforce_deadlines(in_now);
    when 'helpers' then return async.run_helpers();
    when 'orphans' then return async.resolve_orphans(in_now);
    when 'promote' then return async.promote_deferred(in_now);
    when 'broken' then return async.find_broken_sessions() + async.drop_silent_sessions();
    when 'lost_targets' then return async.fail_tasks_of_lost_targets(in_now) + async.take_write_offs();
    when 'listen' then perform async.heed_notifications();
    when 'review' then perform async.review_lanes();
    when 'compact' then perform async.compact_memory();
    when 'forget' then perform async.forget_unused();
    when 'routines' then perform async.run_routines('LOOP');
    when 'configure' then
      perform async.check_lead();
      perform async.refresh_configuration();
    when 'schedules' then perform async.run_schedules(in_now);
    when 'offers' then perform async.yield_offers(in_now);
    when 'publish' then perform async.publish();
    when 'maintain' then perform async.maintain(in_now);
    when 'count' then perform async.count_tasks(in_now);
  end case;
  return 0;
end
$function$;
