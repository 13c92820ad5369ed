-- Actions of a sequence, and what they change.

-- The rows as the last action left them.
create table judged.seen (task_id bigint primary key, place tid not null, offer_place tid);

-- Pushes and configurations fire no user triggers here. This one makes the SQL side write as with triggers.
create function judged.do_nothing() returns trigger language plpgsql as $$ begin return new; end $$;

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

-- What happened, and how many slots of which pools that gave back to the leader's memory.
-- At times in the one statement that takes all events or none, of a leader that counts its slots by itself.
-- Without triggers of users, the one statement for many must do by itself all that may happen.
create function judged.apply(in_action jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_asked record;
  v_events async.event_t[];
  v_left async.event_t[];
  v_batched bigint[] := '{}';
  v_apart jsonb;
begin
  update pg_temp.leader_pool set taken = 1000;
  if in_action ? 'all_or_none' and judged.write_all_or_none(judged.events(in_action -> 'events', '{}', in_now)) then
    return '"all"';
  end if;
  v_asked := judged.asked(in_action -> 'events');
  if not async.has_user_triggers() then
    v_events := judged.events(v_asked.events, '{}', in_now);
    v_left := async.write_events_at_once(v_events);
    v_batched := array(
      select e.task_id from unnest(v_events) e where e.task_id <> all (array(select l.task_id from unnest(v_left) l)));
  end if;
  v_events := judged.events(v_asked.events, v_batched, in_now);
  -- Row by row, what was asked of a query at its very end counts as well; what was asked of another does not. The
  -- deadline, which has no message, is not asked.
  if async.has_user_triggers() then
    insert into async.request (task_id, status) values (-1, 'FAILED');
    insert into async.request (task_id, status, error_message, duration, requested_by)
    select (e.it ->> 'id')::bigint, (e.it ->> 'status')::async.finish_status_t, e.it ->> 'message',
      judged.span((e.it ->> 'duration')::bigint), e.it ->> 'requested_by'
    from jsonb_array_elements(v_asked.events) e(it)
    where e.it ->> 'name' like 'END%' and e.it ->> 'status' is not null
      and (e.it ->> 'status' <> 'TIMED_OUT' or e.it ->> 'message' is not null);
    v_events := judged.events((
      select jsonb_agg(
        case when e.it ->> 'name' like 'END%'
            and (e.it ->> 'status' is distinct from 'TIMED_OUT' or e.it ->> 'message' is not null) then e.it || '{"status": null, "message": null, "duration": null, "requested_by": null}'
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

create function judged.push(in_action jsonb, in_now timestamptz) returns jsonb language plpgsql as $$
declare
  v_ids bigint[];
begin
  v_ids := array(
    select p.task_id
    from async.push_tasks(
      array(
        select jsonb_populate_record(null::async.task_push_t, e.it - '{run_at,expires_at}'::text[])
        from jsonb_array_elements(in_action -> 'tasks') with ordinality as e(it, place) order by e.place),
      (in_action ->> 'run_type')::async.task_run_type_t, 'the judge') p);
  -- The clock that a push reads is the server's own.
  update async.task t
  set entered = in_now, processed = case when t.processed is not null then in_now end,
    consumed = case when t.consumed is not null then in_now end
  where t.task_id = any (v_ids);
  -- The times of async.push_many, by the clock of the judge.
  update async.task t
  set run_at = n.run_at, eligible_when = n.run_at, expires_at = n.expires_at, times_up = n.expires_at
  from (
    select v_ids[e.place] as task_id, judged.at((e.it ->> 'run_at')::bigint) as run_at,
      judged.at((e.it ->> 'expires_at')::bigint) as expires_at
    from jsonb_array_elements(in_action -> 'tasks') with ordinality as e(it, place)
  ) n
  where t.task_id = n.task_id and (n.run_at is not null or n.expires_at is not null);
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

-- The next task, with the occupancy that follows from the rows; in one lane behind a position in it, if that is given;
-- on no more sessions of a target than are given for it; of each lane in_depth tasks and one more, and only the tasks
-- before the first one more.
create function judged.choose(
  in_workers int, in_skip bigint[], in_down text[], in_behind jsonb, in_now timestamptz, in_sessions jsonb default '{}',
  in_depth int default 2147483646)
returns jsonb
language sql as $$
  select coalesce(jsonb_agg(c.task_id order by c.place) filter (where c.place > 0 and not c.behind), '[]')
  from (
    select p.task_id, p.place,
      coalesce(bool_or(p.place = -1) over (order by p.priority, p.entered, p.task_id), false) as behind
    from (
      select array_agg(row(
        l.pool, l.target, l.pullable,
        case when l.starts then -2147483648 else (in_behind ->> 'priority')::int end,
        case when l.starts then '-infinity' else judged.at((in_behind ->> 'entered')::bigint) end,
        case when l.starts then 0 else (in_behind ->> 'task_id')::bigint end,
        l.free, (in_sessions ->> l.target)::int)::async.lane_t) as lanes
      from (
        select d.*, jsonb_build_array(d.pool, d.target, d.pullable) is distinct from in_behind -> 'lane' as starts,
          async.pool_limit(d.pool) - (
          select count(*)::int from async.task t
          where coalesce(t.concurrency_pool, t.target) = d.pool and t.tracked) as free
        from async.discover_lanes() d
      ) l
      where l.free > 0 and not async.is_paused(l.pool, l.target) and (l.pullable or in_workers > 0 and l.target <> all (in_down))
    ) i
    cross join lateral async.plan_claims(i.lanes, in_workers, in_skip, in_now, in_depth) p
    where i.lanes is not null
  ) c
$$;

create function judged.run_action(in_action jsonb) returns jsonb language plpgsql as $$
declare
  v_now timestamptz := judged.at((in_action ->> 'now')::bigint);
  v_ids bigint[];
begin
  case in_action ->> 'do'
    when 'events' then
      return judged.apply(in_action, v_now);
    when 'push' then
      return judged.push(in_action, v_now);
    when 'configure' then
      perform async.configure(in_action -> 'document');
      return judged.configured();
    when 'choose' then
      return judged.choose((in_action ->> 'workers')::int, '{}', '{}', null, v_now);
    when 'due' then
      return coalesce(to_jsonb(async.due_tasks(v_now, judged.texts(in_action -> 'skip')::bigint[])), '[]');
    when 'deferred' then
      return coalesce(to_jsonb(async.deferred_tasks(v_now, judged.texts(in_action -> 'skip')::bigint[])), '[]');
    when 'intend' then
      return to_jsonb(async.intention_replaces(
        (in_action ->> 'old')::async.finish_status_t, in_action ->> 'old_error',
        (in_action ->> 'new')::async.finish_status_t));
    when 'forget' then
      delete from async.task t where to_jsonb(t.task_id) <@ (in_action -> 'ids');
      return 'null';
    when 'nothing' then
      return 'null';
  end case;
end
$$;

-- Runs actions in order. Returns, for each, its answer and the rows that it changed.
create function judged.play(in_actions jsonb) returns jsonb language plpgsql as $$
declare
  v_action jsonb;
  v_answer jsonb;
  v_changed jsonb;
  v_gone jsonb;
  v_played jsonb[] := '{}';
begin
  for v_action in select a.it from jsonb_array_elements(in_actions) with ordinality as a(it, place) order by a.place loop
    v_answer := judged.run_action(v_action);
    -- A row that was written is another version, at another place.
    with
      changed as (
        select t.task_id, t.ctid as place, o.ctid as offer_place, judged.contract(
            t.consumed, t.processed, t.yielded, t.finish_status, t.failed, t.processing_error, t.times_up, t.tracked,
            t.eligible_when, t.run, t.attempt, t.ended_by)
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
    v_played := v_played || jsonb_build_object('answer', v_answer, 'changed', v_changed, 'gone', v_gone);
  end loop;
  return to_jsonb(v_played);
end
$$;
