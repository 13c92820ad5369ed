-- Purpose: heeds what clients asked for: a running query gets an intention, which is recorded when it ends; any other
--   task changes at once. Run after results were seen and before they are recorded.
-- Returns: how many requests were dealt with.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.apply_requests(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_requests_per_cycle_max constant int := 1000;
  v_request record;
  v_ids bigint[];
  v_requests bigint[];
  v_statuses async.finish_status_t[];
  v_errors text[];
  v_durations interval[];
  v_done bigint[];
  v_dealt int := 0;
begin
  perform from async.request r limit 1;
  if not found then
    return 0;
  end if;

  -- Those of queries in flight: kept until the outcome is recorded, so that they survive this leader.
  for v_request in
    select r.request_id, r.status, r.error_message, r.duration, s.slot, s.intention
    from pg_temp.leader_slot s
    join async.request r on r.task_id = s.task_id
    where s.state in ('claimed', 'running', 'ended', 'lost') and r.request_id <> all (s.request_ids)
    order by r.request_id
  loop
    perform async.intend(v_request.slot, in_now, v_request.status,
      async.request_message(v_request.status, v_request.error_message), v_request.duration);
    update pg_temp.leader_slot s set request_ids = s.request_ids || v_request.request_id
    where s.slot = v_request.slot;
    v_dealt := v_dealt + 1;
  end loop;

  -- Of the others the oldest of each task.
  select
    array_agg(n.task_id order by n.request_id), array_agg(n.request_id order by n.request_id),
    array_agg(n.status order by n.request_id), array_agg(n.error_message order by n.request_id),
    array_agg(n.duration order by n.request_id)
  into v_ids, v_requests, v_statuses, v_errors, v_durations
  from (
    select distinct on (r.task_id) r.*
    from (
      select i.* from async.request i
      where not exists (select from pg_temp.leader_slot s
          where s.task_id = i.task_id and s.state in ('claimed', 'running', 'ended', 'lost'))
        and not exists (select from pg_temp.leader_orphan o where o.task_id = i.task_id and not o.recorded)
        and not exists (select from pg_temp.leader_parked p where p.task_id = i.task_id and p.until > in_now)
      order by i.request_id
      limit c_requests_per_cycle_max
    ) r
    order by r.task_id, r.request_id
  ) n;
  if v_ids is null then
    return v_dealt;
  end if;
  perform async.withdraw_offers(v_ids);
  with applied as (
    select a.task_id, a.outcome, async.park(a.task_id, a.outcome, a.error, in_now) as parked
    from async.apply_events(
      in_now, v_ids, null, array_fill('REQUEST'::async.task_event_t, array[cardinality(v_ids)]),
      v_statuses, v_errors, v_durations, null) a
  )
  select array_agg(v_requests[array_position(v_ids, a.task_id)]) into v_done
  from applied a where not a.parked;
  delete from async.request r where r.request_id = any (v_done);
  update pg_temp.leader_state set writes = writes + cardinality(v_ids);
  return v_dealt + coalesce(cardinality(v_done), 0);
end
$function$;
