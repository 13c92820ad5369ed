-- Purpose: records how queries ended, all at once; a row that cannot be written waits with its slot and is tried
--   again, later each time.
-- Returns: how many were recorded.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.record_results(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  v_slots int[];
  v_ids bigint[];
  v_runs int[];
  v_events async.task_event_t[];
  v_statuses async.finish_status_t[];
  v_errors text[];
  v_durations interval[];
  v_done int[];
  v_strays int[];
  v_requests bigint[];
begin
  select
    array_agg(s.slot), array_agg(s.task_id), array_agg(s.run),
    array_agg(s.event),
    array_agg(s.intention),
    array_agg(async.end_error(s.event, s.intention, s.intention_error, s.error)),
    array_agg(s.intention_duration)
  into v_slots, v_ids, v_runs, v_events, v_statuses, v_errors, v_durations
  from (
    select i.*,
      case i.outcome
        when 'ok' then 'END_OK' when 'lost' then 'END_UNKNOWN' else 'END_ERROR'
      end::async.task_event_t as event
    from pg_temp.leader_slot i
    where i.state = 'ended' and i.retry_at <= in_now
    order by i.since, i.slot
  ) s;
  if v_slots is null then
    return 0;
  end if;

  -- A row that did not take the event (it was finished or deleted by hand) frees its slot all the same.
  with applied as (
    select v_slots[array_position(v_ids, a.task_id)] as slot, a.outcome,
      case when a.outcome in ('locked', 'failed')
        then async.park(a.task_id, a.outcome, a.error, in_now) else false end as parked
    from async.apply_events(in_now, v_ids, v_runs, v_events, v_statuses, v_errors, v_durations, null) a
  )
  select array_agg(a.slot) filter (where not a.parked),
    array_agg(a.slot) filter (where a.outcome in ('rejected', 'gone'))
  into v_done, v_strays
  from applied a;

  if cardinality(v_done) is distinct from cardinality(v_slots) then
    update pg_temp.leader_slot s
    set tries = s.tries + 1, retry_at = p.until
    from pg_temp.leader_parked p
    where p.task_id = s.task_id and s.slot = any (v_slots) and s.slot <> all (coalesce(v_done, '{}'));
  end if;
  if v_strays is not null then
    perform async.release_pools(coalesce(array_agg(s.pool), '{}'))
    from pg_temp.leader_slot s
    where s.slot = any (v_strays)
      and not exists (select from async.task t
        where t.task_id = s.task_id and t.tracked and t.processed is null
          and (t.consumed is not null or t.yielded is not null));
  end if;
  v_requests := array(
    select unnest(s.request_ids) from pg_temp.leader_slot s
    where s.slot = any (v_done) and s.request_ids <> '{}');
  if v_requests <> '{}' then
    delete from async.request r where r.request_id = any (v_requests);
  end if;
  perform async.empty_slots(v_done);
  update pg_temp.leader_state set writes = writes + cardinality(v_slots), marks = marks + cardinality(v_slots);
  return coalesce(cardinality(v_done), 0);
end
$function$;
