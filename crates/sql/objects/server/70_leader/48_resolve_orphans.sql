-- Purpose: tasks of lost leaders. Claims that were never sent go back to the queue at once. Launched ones wait until every
--   session that the registry knew at their target is gone: their outcome is unknown, so they fail, saying so, unless
--   another end was asked for. Those that timed out before that give their slots back then.
-- Returns: how many.
-- Raises: nothing of a single task's.
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
    select async.orphan_event(o.task_id, o.run, o.launched, o.recorded, o.target, in_now)
    from (
      select i.* from pg_temp.leader_orphan i
      where (not i.launched or not exists (select from pg_temp.leader_fence f where f.target = i.target))
        and not exists (select from pg_temp.leader_parked p where p.task_id = i.task_id and p.until > in_now)
      order by i.task_id
      limit c_orphans_per_cycle_max
    ) o);
  if v_events = '{}' then
    return 0;
  end if;
  v_over := array(select e.task_id from unnest(v_events) e);
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if v_row.parked then
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

-- Purpose: what happens to a task of a lost leader, with what was asked of it.
-- Returns: the event.
-- Raises: nothing.
-- Locks: none.
create or replace function async.orphan_event(
  in_id bigint, in_run int, in_launched bool, in_recorded bool, in_target text, in_now timestamptz
) returns async.event_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_event async.event_t;
  v_request record;
begin
  v_event.task_id := in_id;
  v_event.run := in_run;
  v_event.at := in_now;
  if not in_launched then
    v_event.event := 'GIVE_BACK';
    v_event.timeout := (
      select coalesce(g.default_timeout, c.default_timeout)
      from async.control c left join async.target g on g.target = in_target);
    return v_event;
  end if;
  v_event.event := case when in_recorded then 'RELEASE' else 'END_UNKNOWN' end;
  v_event.known := 'outcome unknown: the orchestrator was lost while the query ran';
  v_event.requests := '{}';
  for v_request in select r.* from async.request r where r.task_id = in_id order by r.request_id loop
    v_event.requests := v_event.requests || v_request.request_id;
    if async.intention_replaces(v_event.status, v_event.message, v_request.status) then
      v_event.status := v_request.status;
      v_event.message := async.request_message(v_request.status, v_request.error_message);
      v_event.duration := v_request.duration;
    end if;
  end loop;
  return v_event;
end
$function$;
