-- Purpose: resolves the tasks of lost leaders. Claims that were not sent return to the queue at
--   once. Launched tasks wait until every session of the registry at their target is gone. Then
--   their outcome is that of their receipt, or unknown: they fail, unless a request says otherwise. Those that timed out
--   before release their pool slots then.
-- Returns: the number of tasks.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.resolve_orphans(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_orphans_per_cycle_max constant int := 500;
  v_events async.event_t[];
  v_row record;
  v_over bigint[];
  v_given_back int;
begin
  if not exists (select from pg_temp.leader_orphan) then
    return 0;
  end if;
  v_events := array(
    select async.orphan_event(o.task_id, o.run, o.launched, o.recorded, o.target, in_now, o.resolved, o.known, o.result)
    from (
      select i.* from pg_temp.leader_orphan i
      where (not i.launched or not exists (select from pg_temp.leader_fence f where f.target = i.target))
        and not exists (select from pg_temp.leader_backoff p where p.task_id = i.task_id and p.until > in_now)
      order by i.task_id
      limit c_orphans_per_cycle_max
    ) o);
  if v_events = '{}' then
    return 0;
  end if;
  v_over := array(select e.task_id from unnest(v_events) e);
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if v_row.backs_off then
      v_over := array_remove(v_over, v_row.task_id);
    end if;
  end loop;
  delete from pg_temp.leader_orphan o where o.task_id = any (v_over);
  select count(*) filter (where e.event = 'GIVE_BACK') into v_given_back
  from unnest(v_events) e where e.task_id = any (v_over);
  if v_given_back > 0 then
    perform async.log_quiet('NOTICE',
      format('gave back %s tasks that a lost orchestrator had claimed but not sent', v_given_back));
  end if;
  if cardinality(v_over) > v_given_back then
    perform async.log_quiet('NOTICE',
      format('resolved %s tasks of a lost orchestrator', cardinality(v_over) - v_given_back));
  end if;
  return cardinality(v_over);
end
$function$;
