-- Purpose: the deciding part of a cycle, in one transaction: runs the stages that are due. The error of
--   a stage is logged, and the next stage runs. A block that writes takes a transaction id, so
--   neighboring stages that only change tables share one. After an error in it, each of them has its
--   own.
-- Returns: the amount of work that was done, and whether a cancel arrived.
-- Raises: nothing, unless the recovery from a failed stage fails.
-- Locks: async.leader as async.hold_epoch; the rows of async.task that it changes; never waits for
--   one.
create or replace function async.run_stages(out did int, out cancelled bool)
language plpgsql
as $function$
declare
  c_sharing constant text[] := '{requests,deadlines,record,orphans,promote,offers,poll,review,claim}';
  v_now constant timestamptz := clock_timestamp();
  v_state record;
  v_blocks text[] := '{}';
  v_stages text[];
  v_stage text;
  v_before text := '';
  v_done int;
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
    if v_stage = any (c_sharing) and v_before = any (c_sharing) then
      v_blocks[cardinality(v_blocks)] := v_blocks[cardinality(v_blocks)] || ',' || v_stage;
    else
      v_blocks := v_blocks || v_stage;
    end if;
    v_before := v_stage;
  end loop;
  while v_blocks <> '{}' loop
    v_stages := string_to_array(v_blocks[1], ',');
    v_blocks := v_blocks[2:];
    v_done := 0;
    begin
      foreach v_stage in array v_stages loop
        v_done := v_done + async.run_stage(v_stage, v_now, v_state.manual);
      end loop;
      did := did + v_done;
    exception
      when query_canceled then
        cancelled := true;
        perform async.recover_interrupted_stage(v_stage);
      when assert_failure or others then
        perform async.note_failure(v_stage, sqlerrm, sqlstate);
        perform async.recover_interrupted_stage(v_stage);
        if cardinality(v_stages) > 1 then
          v_blocks := v_stages || v_blocks;
        end if;
    end;
  end loop;
end
$function$;
