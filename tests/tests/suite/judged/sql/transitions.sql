-- Single transitions, decided and written.

-- Each pair of a task and an event through async.step_task: why it is rejected, or the row that it makes.
create function judged.step(in_question jsonb) returns jsonb language sql set enable_nestloop = off as $$
  select jsonb_agg(
    case when s.rejected is not null then to_jsonb(s.rejected) else judged.contract(
      s.consumed, s.processed, s.yielded, s.finish_status, s.failed, s.processing_error, s.times_up, s.tracked,
      s.eligible_when, s.run, s.attempt, s.ended_by)
      || jsonb_build_object('ended_as', s.ended_as, 'ended_with', s.ended_with,
        'attempt_ended_by', s.attempt_ended_by) end
    order by c.place)
  from (
    select p.place, t.task, e.event
    from jsonb_array_elements(in_question -> 'pairs') with ordinality as p(it, place)
    join (
      select i.place - 1 as place, judged.task(i.it) as task
      from jsonb_array_elements(in_question -> 'tasks') with ordinality as i(it, place)
      -- Worked out once: what is inlined would read it again and again.
      offset 0
    ) t on t.place = (p.it ->> 0)::bigint
    join (
      select i.place - 1 as place, judged.event(i.it, judged.at((in_question ->> 'now')::bigint)) as event
      from jsonb_array_elements(in_question -> 'events') with ordinality as i(it, place)
      offset 0
    ) e on e.place = (p.it ->> 1)::bigint
    offset 0
  ) c
  cross join lateral async.step_task(
    c.task, (c.event).event, (c.event).status, (c.event).message, (c.event).known, (c.event).duration,
    (c.event).timeout, (c.event).requested_by, (c.event).at) s
$$;

-- All events in the statements of a busy leader, claims and plain ends in their own; or none of them.
create function judged.write_all_or_none(in_events async.event_t[]) returns bool language plpgsql as $$
declare
  v_sorted record;
begin
  select
    array_agg(e.task_id) filter (where e.event = 'CLAIM') as claims,
    array_agg(e.run) filter (where e.event = 'CLAIM') as claim_runs,
    array_agg(e.at) filter (where e.event = 'CLAIM') as claims_at,
    array_agg(e.timeout) filter (where e.event = 'CLAIM') as claim_timeouts,
    array_agg(e.task_id) filter (where e.event = 'END_OK' and e.status is null and e.result is null) as ends,
    array_agg(e.run) filter (where e.event = 'END_OK' and e.status is null and e.result is null) as end_runs,
    array_agg(e.at) filter (where e.event = 'END_OK' and e.status is null and e.result is null) as ends_at,
    array_agg(e) filter (where e.event <> 'CLAIM' and (e.event <> 'END_OK' or e.status is not null or e.result is not null)) as others
  into v_sorted
  from unnest(in_events) e;
  if async.write_at_once(v_sorted.claims, v_sorted.claim_runs, v_sorted.claims_at, v_sorted.claim_timeouts,
      v_sorted.ends, v_sorted.end_runs, v_sorted.ends_at, v_sorted.others) <> '{}'
  then
    raise exception 'undo' using errcode = 'PA999';
  end if;
  return true;
exception when sqlstate 'PA999' then
  return false;
end
$$;

-- Events as the writer takes them, but for those of some tasks.
create function judged.events(in_events jsonb, in_without bigint[], in_now timestamptz) returns async.event_t[]
language sql as $$
  select coalesce(array_agg(judged.event(e.it, in_now) order by e.place), '{}')
  from jsonb_array_elements(in_events) with ordinality as e(it, place)
  where (e.it ->> 'id')::bigint <> all (in_without)
$$;

-- Each group of events through one of what writes, upon rows of their own as they are given: what it answers for the group,
-- and the rows as they are then. The batch takes all groups at once.
create function judged.write(in_how text, in_groups jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_group jsonb;
  v_events async.event_t[];
  v_left async.event_t[];
  v_applied bigint[] := '{}';
  v_outcome text;
  v_answer bool[] := '{}';
begin
  perform judged.fill((
    select jsonb_agg(q.it) from jsonb_array_elements(in_groups) g(it) cross join jsonb_array_elements(g.it) q(it)));
  if in_how = 'batch' then
    v_events := judged.events((
      select jsonb_agg(q.it) from jsonb_array_elements(in_groups) g(it) cross join jsonb_array_elements(g.it) q(it)), '{}',
      in_now);
    v_left := async.write_events_at_once(v_events);
    v_applied := array(
      select e.task_id from unnest(v_events) e where e.task_id <> all (array(select l.task_id from unnest(v_left) l)));
  end if;
  for v_group in select g.it from jsonb_array_elements(in_groups) with ordinality as g(it, place) order by g.place
  loop
    v_events := judged.events(v_group, '{}', in_now);
    case in_how
      when 'all' then
        v_answer := v_answer || judged.write_all_or_none(v_events);
      when 'row' then
        select coalesce(r.outcome, 'applied') into v_outcome from async.write_row(v_events[1], null) r;
        v_answer := v_answer || (v_outcome = 'applied');
      when 'batch' then
        v_answer := v_answer || (array(select e.task_id from unnest(v_events) e) <@ v_applied);
    end case;
  end loop;
  if in_how = 'row' then
    select r.outcome into v_outcome
    from async.write_row(row(-1, null, 'DEADLINE', in_now, null, null, null, null, null, null, null, null)::async.event_t, null) r;
    if v_outcome is distinct from 'gone' then
      raise exception 'a row that does not exist is reported as %', v_outcome;
    end if;
  end if;
  return jsonb_build_object('answer', to_jsonb(v_answer), 'rows', (
    select jsonb_object_agg(t.task_id, judged.contract(
      t.consumed, t.processed, t.yielded, t.finish_status, t.failed, t.processing_error, t.times_up, t.tracked,
      t.eligible_when, t.run, t.attempt, t.ended_by))
    from async.task t), 'results', (select jsonb_object_agg(r.task_id, r.run) from async.result r));
end
$$;

-- Rows as they are given, offers of those that are offered, and the requests that the events settle.
create function judged.fill(in_events jsonb) returns void language sql as $$
  insert into async.task
  select t.*
  from (
    select judged.task('{"target": "a", "priority": 0, "entered": "2000-01-01"}' || (e.it -> 'task')
      || jsonb_build_object('task_id', e.it -> 'id')) as task
    from jsonb_array_elements(in_events) e(it)
    where e.it ->> 'task' is not null
    offset 0
  ) c
  cross join lateral (select (c.task).*) t;
  insert into async.offer (task_id, target, pool, priority, entered)
  select t.task_id, t.target, t.target, t.priority, t.entered
  from async.task t
  where t.tracked and t.query is null and t.consumed is null and t.processed is null and t.yielded is null;
  insert into async.request (request_id, task_id, status)
  select r.id::bigint, (e.it ->> 'id')::bigint, 'CANCELED'
  from jsonb_array_elements(in_events) e(it)
  cross join lateral jsonb_array_elements_text(e.it -> 'requests') r(id);
$$;
