-- Purpose: applies events of any kind to their tasks in one statement, by the rules of
--   async.step_task; maintains the offers, notes failed attempts, writes results, and deletes the settled requests.
--   An event whose offer another transaction holds is not applied. Only where users have no triggers.
-- Returns: the events that did not fit their rows.
-- Raises: lock_not_available when another transaction holds one of the rows, and the errors of
--   constraints of users.
-- Locks: the rows of async.task; waits up to lock_timeout. The rows of async.offer, without
--   waiting.
-- (Longer than a screen: one statement.)
create or replace function async.write_events_at_once(in_events async.event_t[])
returns async.event_t[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  v_ending constant bigint[] := array(
    select e.task_id from unnest(in_events) e where e.event in ('WITHDRAW', 'REQUEST', 'DEADLINE', 'TAKE'));
  v_offers bigint[] := '{}';
  v_taken bigint[] := '{}';
  v_applied bigint[];
  v_released text[];
  v_noted async.attempt[];
  v_kept async.event_t[];
  v_requests bigint[];
begin
  if v_ending <> '{}' then
    v_offers := array(
      select o.task_id from async.offer o where o.task_id = any (v_ending) order by o.task_id for update skip locked);
    v_taken := array(
      select o.task_id from async.offer o where o.task_id = any (v_ending) and o.task_id <> all (v_offers));
  end if;
  with applied as (
    update async.task t
    set consumed = n.consumed, processed = n.processed, yielded = n.yielded, finish_status = n.finish_status,
        failed = n.failed, processing_error = n.processing_error, times_up = n.times_up, tracked = n.tracked,
        eligible_when = n.eligible_when, run = n.run, attempt = n.attempt, ended_by = n.ended_by,
        arrived = case when n.consumed is null and n.processed is null and n.yielded is null then txid_current()
          else t.arrived end
    from unnest(in_events) e
    join async.task o on o.task_id = e.task_id
    cross join lateral async.step_task(o, e.event, e.status, e.message, e.known, e.duration, e.timeout,
      e.requested_by, e.at) n
    where t.task_id = e.task_id
      -- Only the row version that the event was decided for.
      and t.ctid = o.ctid
      and (e.run is null or e.run = o.run)
      and n.rejected is null
      and e.task_id <> all (v_taken)
    returning t.task_id, case when o.tracked and t.tracked is not true then coalesce(t.concurrency_pool, t.target) end
      as released,
      case when n.ended_as is not null
        then row(o.task_id, o.run, o.attempt + 1, o.consumed, e.at, n.ended_as, n.ended_with,
          n.attempt_ended_by)::async.attempt end as noted,
      case when e.result is not null and (n.processed is not null or n.yielded is not null)
        then row(e.task_id, e.run, null, null, null, null, null, null, null, null, e.result, null)::async.event_t end as kept
  )
  select coalesce(array_agg(a.task_id), '{}'), array_agg(a.released) filter (where a.released is not null),
    array_agg(a.noted) filter (where a.noted is distinct from null),
    array_agg(a.kept) filter (where a.kept is distinct from null)
  into v_applied, v_released, v_noted, v_kept
  from applied a;
  if v_noted is not null then
    insert into async.attempt (task_id, run, attempt, began, ended, status, error, ended_by)
    select * from unnest(v_noted);
  end if;
  if v_kept is not null then
    perform async.write_results(v_kept);
  end if;
  perform async.release_pools(v_released);

  if v_offers <> '{}' then
    delete from async.offer o where o.task_id = any (v_offers) and o.task_id = any (v_applied);
  end if;
  insert into async.offer (task_id, target, pool, priority, entered, timeout)
  select t.task_id, t.target, coalesce(t.concurrency_pool, t.target), t.priority, t.entered, e.timeout
  from unnest(in_events) e
  join async.task t on t.task_id = e.task_id
  where e.event = 'OFFER' and e.task_id = any (v_applied)
  on conflict (task_id) do nothing;
  v_requests := array(
    select r.request_id from unnest(in_events) e cross join lateral unnest(e.requests) as r(request_id)
    where e.task_id = any (v_applied));
  if v_requests <> '{}' then
    delete from async.request r where r.request_id = any (v_requests);
  end if;
  if cardinality(v_applied) = cardinality(in_events) then
    return '{}';
  end if;
  return array(select e from unnest(in_events) e where e.task_id <> all (v_applied));
end
$function$;
