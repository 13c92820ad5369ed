-- Answers of the writer, and the tables after it.

-- The events through the writer as a leader in another process calls it: what it answers.
create function judged.lead_write(in_events jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_events constant async.event_t[] := judged.events(in_events, '{}', in_now);
  v_claims constant async.event_t[] := array(select e from unnest(v_events) e where e.event = 'CLAIM');
  v_ends constant async.event_t[] := array(
    select e from unnest(v_events) e where e.event = 'END_OK' and e.status is null and e.requests is null and e.result is null);
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('task', w.task_id, 'run', w.run, 'event', w.event,
      'outcome', w.outcome, 'error', w.error,
      'row', case when w.row_run is not null then judged.contract(
        w.consumed, w.processed, w.yielded, w.finish_status::async.finish_status_t, w.failed, w.processing_error,
        w.times_up, w.tracked, w.eligible_when, w.row_run, w.attempt, w.ended_by) end)), '[]')
    from async.write_all(
      array(select e.task_id from unnest(v_claims) with ordinality e order by e.ordinality),
      array(select e.run from unnest(v_claims) with ordinality e order by e.ordinality),
      array(select e.at from unnest(v_claims) with ordinality e order by e.ordinality),
      array(select e.timeout from unnest(v_claims) with ordinality e order by e.ordinality),
      array(select e.task_id from unnest(v_ends) with ordinality e order by e.ordinality),
      array(select e.run from unnest(v_ends) with ordinality e order by e.ordinality),
      array(select e.at from unnest(v_ends) with ordinality e order by e.ordinality),
      array(
        select e from unnest(v_events) e
        where e.event <> 'CLAIM' and (e.event <> 'END_OK' or e.status is not null or e.requests is not null or e.result is not null)),
      true, true) w);
end
$$;

-- What stands in the tables.
create function judged.standing() returns jsonb language sql as $$
  select jsonb_build_object(
    'rows', (
      select coalesce(jsonb_object_agg(t.task_id, judged.contract(
        t.consumed, t.processed, t.yielded, t.finish_status, t.failed, t.processing_error, t.times_up, t.tracked,
        t.eligible_when, t.run, t.attempt, t.ended_by)), '{}')
      from async.task t),
    'offers', (select coalesce(jsonb_agg(o.task_id order by o.task_id), '[]') from async.offer o),
    'requests', (select coalesce(jsonb_agg(r.request_id order by r.request_id), '[]') from async.request r))
$$;

-- Triggers that make something else of every third row, or refuse it: at once, or when the transaction ends.
create function judged.rewrite() returns trigger language plpgsql as $$
begin
  if new.task_id % 3 = 0 then
    new.times_up := timestamptz '2100-01-01 00:00:00+00';
  end if;
  return new;
end
$$;

create function judged.refuse() returns trigger language plpgsql as $$
begin
  if new.task_id % 3 = tg_argv[0]::int then
    raise exception 'task % is refused', new.task_id;
  end if;
  return new;
end
$$;
