-- Purpose: launched tasks of lost leaders, once every session that the registry knew at their target is gone: their
--   outcome is unknown, so they fail, saying so, unless somebody had asked for another end.
-- Returns: how many.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.resolve_orphans(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_unknown constant text := 'outcome unknown: the orchestrator was lost while the query ran';
  v_orphan record;
  v_request record;
  v_applied record;
  v_status async.finish_status_t;
  v_error text;
  v_duration interval;
  v_seen bigint[];
  v_resolved int := 0;
begin
  for v_orphan in
    select o.* from pg_temp.leader_orphan o
    where not exists (select from pg_temp.leader_fence f where f.target = o.target)
      and not exists (select from pg_temp.leader_parked p where p.task_id = o.task_id and p.until > in_now)
    order by o.task_id
    limit 500
  loop
    v_status := null;
    v_error := null;
    v_duration := null;
    v_seen := '{}';
    for v_request in select r.* from async.request r where r.task_id = v_orphan.task_id order by r.request_id loop
      v_seen := v_seen || v_request.request_id;
      if async.intention_replaces(v_status, v_error, v_request.status) then
        v_status := v_request.status;
        v_error := async.request_message(v_request.status, v_request.error_message);
        v_duration := v_request.duration;
      end if;
    end loop;
    if v_orphan.recorded then
      update async.task t set tracked = false
      where t.task_id = v_orphan.task_id and t.processed is not null and t.tracked;
      perform async.release_pools(array[v_orphan.pool]);
    else
      select a.outcome, a.error into v_applied
      from async.apply_events(
        in_now, array[v_orphan.task_id], array[v_orphan.run], array['END_UNKNOWN'::async.task_event_t],
        array[v_status], array[async.end_error('END_UNKNOWN', v_status, v_error, c_unknown)], array[v_duration], null) a;
      continue when async.park(v_orphan.task_id, v_applied.outcome, v_applied.error, in_now);
    end if;
    delete from async.request r where r.request_id = any (v_seen);
    delete from pg_temp.leader_orphan o where o.task_id = v_orphan.task_id;
    v_resolved := v_resolved + 1;
  end loop;
  if v_resolved > 0 then
    perform async.log_quiet('NOTICE', format('resolved %s tasks of a lost orchestrator', v_resolved));
  end if;
  return v_resolved;
end
$function$;
