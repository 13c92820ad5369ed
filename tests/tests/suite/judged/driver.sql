-- What the judge asks of the SQL side. Times cross the border as microseconds since 1970, infinity as the largest.
create schema judged;

create function judged.at(in_micros bigint) returns timestamptz language sql immutable as $$
  select case when in_micros = 9223372036854775807 then 'infinity'
    else timestamptz 'epoch' + in_micros * interval '1 microsecond' end
$$;

create function judged.span(in_micros bigint) returns interval language sql immutable as $$
  select in_micros * interval '1 microsecond'
$$;

create function judged.micros(in_at timestamptz) returns bigint language sql immutable as $$
  select case when in_at = 'infinity' then 9223372036854775807 else round(extract(epoch from in_at) * 1000000)::bigint end
$$;

create function judged.task(in_row jsonb) returns async.task language sql immutable as $$
  select jsonb_populate_record(null::async.task, in_row || jsonb_build_object(
    'consumed', judged.at((in_row ->> 'consumed')::bigint),
    'processed', judged.at((in_row ->> 'processed')::bigint),
    'yielded', judged.at((in_row ->> 'yielded')::bigint),
    'times_up', judged.at((in_row ->> 'times_up')::bigint),
    'eligible_when', judged.at((in_row ->> 'eligible_when')::bigint),
    'manual_timeout', judged.span((in_row ->> 'manual_timeout')::bigint)))
$$;

create function judged.contract(
  in_consumed timestamptz, in_processed timestamptz, in_yielded timestamptz, in_finish_status async.finish_status_t,
  in_failed bool, in_processing_error text, in_times_up timestamptz, in_tracked bool, in_eligible_when timestamptz,
  in_run int
) returns jsonb language sql immutable as $$
  select jsonb_build_object(
    'consumed', judged.micros(in_consumed), 'processed', judged.micros(in_processed),
    'yielded', judged.micros(in_yielded), 'finish_status', in_finish_status, 'failed', in_failed,
    'processing_error', in_processing_error, 'times_up', judged.micros(in_times_up), 'tracked', in_tracked,
    'eligible_when', judged.micros(in_eligible_when), 'run', in_run)
$$;

create function judged.texts(in_array jsonb) returns text[] language sql immutable as $$
  select array(select jsonb_array_elements_text(in_array))
$$;

-- An event as the writer takes it: what RowEvent says, for a task.
create function judged.event(in_it jsonb, in_now timestamptz) returns async.event_t language sql stable as $$
  select row(
    (in_it ->> 'id')::bigint, (in_it ->> 'run')::int, in_it ->> 'name', in_now,
    (in_it ->> 'status')::async.finish_status_t, in_it ->> 'message', in_it ->> 'known',
    judged.span((in_it ->> 'duration')::bigint), judged.span((in_it ->> 'timeout')::bigint),
    case when in_it ? 'requests' then judged.texts(in_it -> 'requests')::bigint[] end)::async.event_t
$$;

-- Each pair of a task and an event through async.step_task: why it is rejected, or the row that it makes.
create function judged.step(in_question jsonb) returns jsonb language sql set enable_nestloop = off as $$
  select jsonb_agg(
    case when s.rejected is not null then to_jsonb(s.rejected) else judged.contract(
      s.consumed, s.processed, s.yielded, s.finish_status, s.failed, s.processing_error, s.times_up, s.tracked,
      s.eligible_when, s.run) end
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
    (c.event).timeout, (c.event).at) s
$$;

-- The rows as the last act left them.
create table judged.seen (task_id bigint primary key, place tid not null, offer_place tid);

-- Whoever pushes and configures here has no triggers; this one makes the SQL side write as if they had.
create function judged.look_on() returns trigger language plpgsql as $$ begin return new; end $$;

-- What happened, and how many slots of which pools that gave back to the leader's memory.
-- At times in the one statement that takes all events or none, of a leader that counts its slots by itself.
-- Where nobody looks on, the one statement for many must do by itself all that may happen.
create function judged.apply(in_act jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_asked record;
  v_events async.event_t[];
  v_left async.event_t[];
  v_batched bigint[] := '{}';
  v_apart jsonb;
begin
  update pg_temp.leader_pool set taken = 1000;
  if in_act ? 'all_or_none' and judged.write_all_or_none(judged.events(in_act -> 'events', '{}', in_now)) then
    return '"all"';
  end if;
  v_asked := judged.asked(in_act -> 'events');
  if not async.has_user_triggers() then
    v_events := judged.events(v_asked.events, '{}', in_now);
    v_left := async.write_events_at_once(v_events);
    v_batched := array(
      select e.task_id from unnest(v_events) e where e.task_id <> all (array(select l.task_id from unnest(v_left) l)));
  end if;
  v_events := judged.events(v_asked.events, v_batched, in_now);
  -- Row by row, what was asked of a query at its very end counts as well; what was asked of another does not.
  if async.has_user_triggers() then
    insert into async.request (task_id, status) values (-1, 'FAILED');
    insert into async.request (task_id, status, error_message, duration)
    select (e.it ->> 'id')::bigint, (e.it ->> 'status')::async.finish_status_t, e.it ->> 'message',
      judged.span((e.it ->> 'duration')::bigint)
    from jsonb_array_elements(v_asked.events) e(it)
    where e.it ->> 'name' like 'END%' and e.it ->> 'status' is not null;
    v_events := judged.events((
      select jsonb_agg(
        case when e.it ->> 'name' like 'END%' then e.it || '{"status": null, "message": null, "duration": null}'
          else e.it end order by e.place)
      from jsonb_array_elements(v_asked.events) with ordinality as e(it, place)), '{}', in_now);
  end if;
  select coalesce(jsonb_agg(jsonb_build_array(e.task_id,
      case
        when w.outcome is null and not async.has_user_triggers() then 'applied alone'
        when w.outcome is null or w.outcome = 'rewritten' then 'applied'
        else w.outcome
      end)), '[]')
  into v_apart
  from unnest(v_events) e
  left join async.write_all(null, null, null, null, null, null, null, v_events, false) w on w.task_id = e.task_id;
  delete from async.request r
  where r.task_id = -1 or r.task_id in (select (a.it ->> 0)::bigint from jsonb_array_elements(v_apart) a(it)
    where a.it ->> 1 = 'rejected');
  if exists (select from async.request) then
    raise exception 'a request was left';
  end if;
  return jsonb_build_object(
    'outcomes', (
      select jsonb_agg(o.it order by (o.it ->> 0)::bigint)
      from (
        select jsonb_build_array(b.task_id, 'applied') as it from unnest(v_batched) b(task_id)
        union all
        select a.it from jsonb_array_elements(v_apart) a(it)
        union all
        select r.it from jsonb_array_elements(v_asked.restarted) r(it)
      ) o),
    'released', (
      select coalesce(jsonb_object_agg(p.pool, 1000 - p.taken), '{}') from pg_temp.leader_pool p where p.taken <> 1000));
end
$$;

-- What clients ask for goes through their functions where those take it: a request is what async.request has of it
-- then; a restart happens at once.
create function judged.asked(in_events jsonb, out events jsonb, out restarted jsonb) language plpgsql as $$
declare
  v_event jsonb;
  v_id bigint;
  v_request async.request;
  v_refused text;
begin
  events := '[]';
  restarted := '[]';
  for v_event in select e.it from jsonb_array_elements(in_events) with ordinality as e(it, place) order by e.place loop
    v_id := (v_event ->> 'id')::bigint;
    v_refused := null;
    if v_event ->> 'name' = 'RESTART' then
      begin
        perform async.restart_task(v_id);
      exception
        when sqlstate 'PA030' or sqlstate 'PA031' or sqlstate 'PA032' or sqlstate 'PA033' then v_refused := sqlstate;
      end;
      -- A task without a query, or whose session is still there, is not the client's to restart.
      if v_refused is null or v_refused in ('PA030', 'PA031') then
        restarted := restarted || jsonb_build_array(jsonb_build_array(v_id,
          case v_refused when 'PA030' then 'gone' when 'PA031' then 'rejected' else 'applied' end));
      else
        events := events || v_event;
      end if;
    elsif v_event ->> 'name' = 'REQUEST'
      and (v_event ->> 'status' <> 'DEFERRED' or v_event ->> 'duration' is not null)
    then
      case
        when v_event ->> 'status' = 'CANCELED' and v_event ->> 'message' is not null and v_event ->> 'duration' is null then
          perform async.cancel(array[v_id], v_event ->> 'message');
        when v_event ->> 'status' = 'DEFERRED' and v_event ->> 'message' is null then
          perform async.defer(array[v_id], judged.span((v_event ->> 'duration')::bigint));
        else
          perform async.finish(array[v_id], (v_event ->> 'status')::async.finish_status_t, v_event ->> 'message',
            judged.span((v_event ->> 'duration')::bigint));
      end case;
      delete from async.request r where r.task_id = v_id returning * into v_request;
      -- Of one that is finished nothing is asked.
      events := events || case when found then v_event || jsonb_build_object('status', v_request.status,
          'message', v_request.error_message, 'duration', judged.length(v_request.duration)) else v_event end;
    else
      events := events || v_event;
    end if;
  end loop;
end
$$;

-- Events as the writer takes them, but for those of some tasks.
create function judged.events(in_events jsonb, in_without bigint[], in_now timestamptz) returns async.event_t[]
language sql as $$
  select coalesce(array_agg(judged.event(e.it, in_now) order by e.place), '{}')
  from jsonb_array_elements(in_events) with ordinality as e(it, place)
  where (e.it ->> 'id')::bigint <> all (in_without)
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
    array_agg(e.task_id) filter (where e.event = 'END_OK' and e.status is null) as ends,
    array_agg(e.run) filter (where e.event = 'END_OK' and e.status is null) as end_runs,
    array_agg(e.at) filter (where e.event = 'END_OK' and e.status is null) as ends_at,
    array_agg(e) filter (where e.event <> 'CLAIM' and (e.event <> 'END_OK' or e.status is not null)) as others
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

create function judged.push(in_act jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_ids bigint[];
begin
  v_ids := array(
    select p.task_id
    from async.push_tasks(
      array(
        select jsonb_populate_record(null::async.task_push_t, e.it)
        from jsonb_array_elements(in_act -> 'tasks') with ordinality as e(it, place) order by e.place),
      (in_act ->> 'run_type')::async.task_run_type_t, 'the judge') p);
  -- The clock that a push reads is the server's own.
  update async.task t
  set entered = in_now, processed = case when t.processed is not null then in_now end,
    consumed = case when t.consumed is not null then in_now end
  where t.task_id = any (v_ids);
  return to_jsonb(v_ids);
end
$$;

create function judged.configured() returns jsonb language sql as $$
  select jsonb_build_object(
    'workers', c.workers, 'default_timeout', round(extract(epoch from c.default_timeout) * 1000000)::bigint,
    'default_pool', c.default_concurrency_pool_workers,
    'targets', (
      select jsonb_object_agg(t.target, jsonb_build_array(
        t.max_concurrency, t.asynchronous_finish, round(extract(epoch from t.default_timeout) * 1000000)::bigint,
        t.concurrency_track_yielded, t.retired))
      from async.target t),
    'pools', (
      select coalesce(jsonb_object_agg(p.concurrency_pool, jsonb_build_array(p.max_workers, p.retired)), '{}')
      from async.concurrency_pool p))
  from async.control c
$$;

-- Who runs next, with the occupancy that the rows tell; in one lane behind a place in it, if that is given.
create function judged.choose(
  in_workers int, in_skip bigint[], in_down text[], in_behind jsonb, in_now timestamptz) returns jsonb
language sql as $$
  select coalesce(jsonb_agg(p.task_id order by p.place), '[]')
  from (
    select array_agg(row(
      l.pool, l.target, l.pullable,
      case when l.starts then -2147483648 else (in_behind ->> 'priority')::int end,
      case when l.starts then '-infinity' else judged.at((in_behind ->> 'entered')::bigint) end,
      case when l.starts then 0 else (in_behind ->> 'task_id')::bigint end,
      l.free, null)::async.lane_t) as lanes
    from (
      select d.*, jsonb_build_array(d.pool, d.target, d.pullable) is distinct from in_behind -> 'lane' as starts,
        async.pool_limit(d.pool) - (
        select count(*)::int from async.task t
        where coalesce(t.concurrency_pool, t.target) = d.pool and t.tracked) as free
      from async.discover_lanes() d
    ) l
    where l.free > 0 and (l.pullable or in_workers > 0 and l.target <> all (in_down))
  ) i
  cross join lateral async.plan_claims(i.lanes, in_workers, in_skip, in_now) p
  where i.lanes is not null
$$;

create function judged.act(in_act jsonb) returns jsonb language plpgsql as $$
declare
  v_now timestamptz := judged.at((in_act ->> 'now')::bigint);
  v_ids bigint[];
begin
  case in_act ->> 'do'
    when 'events' then
      return judged.apply(in_act, v_now);
    when 'push' then
      return judged.push(in_act, v_now);
    when 'configure' then
      perform async.configure(in_act -> 'document');
      return judged.configured();
    when 'choose' then
      return judged.choose((in_act ->> 'workers')::int, '{}', '{}', null, v_now);
    when 'due' then
      return coalesce(to_jsonb(async.due_tasks(v_now, judged.texts(in_act -> 'skip')::bigint[])), '[]');
    when 'deferred' then
      return coalesce(to_jsonb(async.deferred_tasks(v_now, judged.texts(in_act -> 'skip')::bigint[])), '[]');
    when 'intend' then
      return to_jsonb(async.intention_replaces(
        (in_act ->> 'old')::async.finish_status_t, in_act ->> 'old_error',
        (in_act ->> 'new')::async.finish_status_t));
    when 'forget' then
      delete from async.task t where to_jsonb(t.task_id) <@ (in_act -> 'ids');
      return 'null';
    when 'nothing' then
      return 'null';
  end case;
end
$$;

-- Acts one after the other; after each what it said and which rows it changed.
create function judged.play(in_acts jsonb) returns jsonb language plpgsql as $$
declare
  v_act jsonb;
  v_said jsonb;
  v_changed jsonb;
  v_gone jsonb;
  v_played jsonb[] := '{}';
begin
  for v_act in select a.it from jsonb_array_elements(in_acts) with ordinality as a(it, place) order by a.place loop
    v_said := judged.act(v_act);
    -- A row that was written is another version, at another place.
    with
      changed as (
        select t.task_id, t.ctid as place, o.ctid as offer_place, judged.contract(
            t.consumed, t.processed, t.yielded, t.finish_status, t.failed, t.processing_error, t.times_up, t.tracked,
            t.eligible_when, t.run)
          || jsonb_build_object('target', t.target, 'concurrency_pool', t.concurrency_pool, 'priority', t.priority,
            'asynchronous_finish', t.asynchronous_finish, 'track_yielded', t.track_yielded,
            'manual_timeout', judged.length(t.manual_timeout),
            'offer', case when o.task_id is not null then jsonb_build_array(judged.length(o.timeout)) end) as contract
        from async.task t
        left join async.offer o on o.task_id = t.task_id
        left join judged.seen s on s.task_id = t.task_id
        where s.place is distinct from t.ctid or s.offer_place is distinct from o.ctid),
      gone as (
        delete from judged.seen s where not exists (select from async.task t where t.task_id = s.task_id)
        returning s.task_id),
      noted as (
        insert into judged.seen select c.task_id, c.place, c.offer_place from changed c
        on conflict (task_id) do update set place = excluded.place, offer_place = excluded.offer_place)
    select (select coalesce(jsonb_object_agg(c.task_id, c.contract), '{}') from changed c),
      (select coalesce(jsonb_agg(g.task_id), '[]') from gone g)
    into v_changed, v_gone;
    v_played := v_played || jsonb_build_object('said', v_said, 'changed', v_changed, 'gone', v_gone);
  end loop;
  return to_jsonb(v_played);
end
$$;

-- A queue as it is given: its lanes, and who runs next in it.
create function judged.queue(in_queue jsonb) returns jsonb language plpgsql as $$
begin
  delete from async.task;
  delete from async.target;
  delete from async.concurrency_pool;
  update async.control set default_concurrency_pool_workers = (in_queue ->> 'default_pool')::int;
  insert into async.target (target, max_concurrency)
  select t.key, t.value::int from jsonb_each_text(in_queue -> 'targets') t;
  insert into async.concurrency_pool (concurrency_pool, max_workers)
  select p.key, p.value::int from jsonb_each_text(in_queue -> 'pools') p;
  insert into async.task (task_id, target, concurrency_pool, priority, entered, query, consumed, processed, yielded,
    finish_status, tracked, eligible_when, times_up)
  select i.task_id, i.target, i.concurrency_pool, i.priority, judged.at((t ->> 'entered')::bigint), i.query,
    i.consumed, i.processed, i.yielded, i.finish_status, i.tracked, i.eligible_when, i.times_up
  from jsonb_array_elements(in_queue -> 'tasks') t
  cross join judged.task(t - 'entered') i;
  return jsonb_build_object(
    'lanes', (
      select coalesce(jsonb_agg(jsonb_build_array(l.pool, l.target, l.pullable)
        order by l.pool, l.target, l.pullable), '[]')
      from async.discover_lanes() l),
    'launches', judged.choose((in_queue ->> 'workers')::int, judged.texts(in_queue -> 'skip')::bigint[],
      judged.texts(in_queue -> 'down'), in_queue -> 'behind', judged.at((in_queue ->> 'now')::bigint)));
end
$$;

create function judged.length(in_interval interval) returns bigint language sql immutable as $$
  select round(extract(epoch from in_interval)::numeric * 1000000)::bigint
$$;

-- The configuration as its tables tell it.
create function judged.tables() returns jsonb language sql as $$
  select jsonb_build_object(
    'control', (
      select to_jsonb(c) - array['last_heavy_maintenance', 'last_light_maintenance', 'running_since', 'pid', 'version']
        || jsonb_build_object(
          'idle_sleep', round(c.idle_sleep::numeric * 1000000)::bigint,
          'busy_sleep', round(c.busy_sleep::numeric * 1000000)::bigint,
          'heavy_maintenance_sleep', judged.length(c.heavy_maintenance_sleep),
          'light_maintenance_sleep', judged.length(c.light_maintenance_sleep),
          'task_keep_duration', judged.length(c.task_keep_duration),
          'default_timeout', judged.length(c.default_timeout),
          'target_patience', judged.length(c.target_patience),
          'takeover_grace', judged.length(c.takeover_grace))
      from async.control c),
    'targets', (
      select jsonb_object_agg(t.target, to_jsonb(t) - 'target' || jsonb_build_object(
        'connection_string', coalesce(t.connection_string, ''), 'default_timeout', judged.length(t.default_timeout)))
      from async.target t),
    'pools', (
      select coalesce(jsonb_object_agg(p.concurrency_pool, to_jsonb(p) - 'concurrency_pool'), '{}')
      from async.concurrency_pool p))
$$;

-- What each document of each chain is refused with, or what it makes of the tables; nothing stays of any chain.
create function judged.configure(in_chains jsonb) returns jsonb language plpgsql as $$
declare
  v_chain jsonb;
  v_document jsonb;
  v_said jsonb;
  v_all jsonb[] := '{}';
begin
  for v_chain in select d.it from jsonb_array_elements(in_chains) with ordinality as d(it, place) order by d.place
  loop
    v_said := '[]';
    begin
      for v_document in select d.it from jsonb_array_elements(v_chain) with ordinality as d(it, place) order by d.place
      loop
        begin
          perform async.configure(v_document);
          v_said := v_said || jsonb_build_array(judged.tables());
        exception
          when sqlstate 'PA060' then v_said := v_said || to_jsonb(sqlerrm);
        end;
      end loop;
      raise exception 'undo' using errcode = 'PA999';
    exception
      when sqlstate 'PA999' then v_all := v_all || v_said;
    end;
  end loop;
  return to_jsonb(v_all);
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

-- Each group of events through one of what writes, upon rows of their own as they are given: what it said of the group,
-- and the rows as they are then. The batch takes all groups at once.
create function judged.write(in_how text, in_groups jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_group jsonb;
  v_events async.event_t[];
  v_left async.event_t[];
  v_applied bigint[] := '{}';
  v_outcome text;
  v_said bool[] := '{}';
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
        v_said := v_said || judged.write_all_or_none(v_events);
      when 'row' then
        select coalesce(r.outcome, 'applied') into v_outcome from async.write_row(v_events[1], null) r;
        v_said := v_said || (v_outcome = 'applied');
      when 'batch' then
        v_said := v_said || (array(select e.task_id from unnest(v_events) e) <@ v_applied);
    end case;
  end loop;
  if in_how = 'row' then
    select r.outcome into v_outcome
    from async.write_row(row(-1, null, 'DEADLINE', in_now, null, null, null, null, null, null)::async.event_t, null) r;
    if v_outcome is distinct from 'gone' then
      raise exception 'a row that is not there is said to be %', v_outcome;
    end if;
  end if;
  return jsonb_build_object('said', to_jsonb(v_said), 'rows', (
    select jsonb_object_agg(t.task_id, judged.contract(
      t.consumed, t.processed, t.yielded, t.finish_status, t.failed, t.processing_error, t.times_up, t.tracked,
      t.eligible_when, t.run))
    from async.task t));
end
$$;

-- The events through the writer as a leader in another process calls it: what it answers.
create function judged.lead_write(in_events jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_events constant async.event_t[] := judged.events(in_events, '{}', in_now);
  v_claims constant async.event_t[] := array(select e from unnest(v_events) e where e.event = 'CLAIM');
  v_ends constant async.event_t[] := array(
    select e from unnest(v_events) e where e.event = 'END_OK' and e.status is null and e.requests is null);
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('task', w.task_id, 'run', w.run, 'event', w.event,
      'outcome', w.outcome, 'error', w.error,
      'row', case when w.row_run is not null then judged.contract(
        w.consumed, w.processed, w.yielded, w.finish_status::async.finish_status_t, w.failed, w.processing_error,
        w.times_up, w.tracked, w.eligible_when, w.row_run) end)), '[]')
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
        where e.event <> 'CLAIM' and (e.event <> 'END_OK' or e.status is not null or e.requests is not null)),
      true, true) w);
end
$$;

-- What stands in the tables.
create function judged.standing() returns jsonb language sql as $$
  select jsonb_build_object(
    'rows', (
      select coalesce(jsonb_object_agg(t.task_id, judged.contract(
        t.consumed, t.processed, t.yielded, t.finish_status, t.failed, t.processing_error, t.times_up, t.tracked,
        t.eligible_when, t.run)), '{}')
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
