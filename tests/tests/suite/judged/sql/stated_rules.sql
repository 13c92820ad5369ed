-- What the questions about rules that the core does not have begin with.

create function judged.session(in_it jsonb) returns async.session language sql stable as $$
  select jsonb_populate_record(null::async.session, in_it)
$$;

-- A session that began a day after its server, and named all of its server.
create function judged.known() returns async.session language sql stable as $$
  select judged.session('{"server_started": "2026-01-01", "backend_start": "2026-01-03", "server_address": "10.0.0.1",
    "server_port": 5432, "system_identifier": "7", "timeline": 1}')
$$;

-- An answer to the identity query, with one of its places replaced.
create function judged.identity(in_place int, in_value text) returns text language sql immutable as $$
  select jsonb_set('["1", "150004", "2026-01-01", "b", "2026-01-02", "10.0.0.1", "5432", "7", "0000001A", "true", "public"]',
    array[in_place::text], coalesce(to_jsonb(in_value), 'null'))::text
$$;

create function judged.long_identity(in_chars int) returns text language sql immutable as $$
  select rpad(judged.identity(0, '1'), in_chars)
$$;

-- This session leads, until the transaction ends.
create function judged.lead() returns void language sql as $$
  update async.control set pid = pg_backend_pid();
  update async.leader_lock set pid = pg_backend_pid(), key = -77;
  select pg_advisory_xact_lock(-77);
$$;

-- Tasks in each phase: 1 waits, 2 runs, 3 has yielded, 4 is finished, 5 was taken by a client, 6 waits and is not named
-- by judged.finish, 7 runs and is to finish asynchronously.
create function judged.queue() returns void language sql as $$
  truncate async.task, async.request, async.offer;
  insert into async.task (task_id, target, query, run, consumed, yielded, processed, finish_status, failed, tracked,
    asynchronous_finish)
  select i, 't', case when i <> 5 then 'select 1' end, case when i in (1, 6) then 0 else 1 end,
    case when i in (2, 4, 5, 7) then timestamptz '2026-01-01' end, case when i = 3 then timestamptz '2026-01-01' end,
    case when i = 4 then timestamptz '2026-01-01' end, case when i = 4 then 'FINISHED'::async.finish_status_t end,
    case when i = 4 then false end, case when i in (2, 5, 7) then true end, i = 7
  from generate_series(1, 7) i;
$$;

create function judged.finish(in_status async.finish_status_t, in_duration interval) returns void language sql as $$
  select judged.lead();
  select judged.queue();
  select async.finish_internal('{1,2,3,4,5}', in_status, 'judged', 'why', in_duration);
$$;

create function judged.finish_all() returns trigger language plpgsql as $$
begin
  perform async.finish_internal('{1,2,7}', null, 'judged', 'why');
  return null;
end
$$;

create function judged.finish_in_trigger() returns void language plpgsql as $$
begin
  perform judged.lead();
  perform judged.queue();
  create table judged.moved (i int);
  create trigger judge after insert on judged.moved execute procedure judged.finish_all();
  insert into judged.moved values (1);
end
$$;

create function judged.refuse_writes_of(in_task_id bigint) returns void language plpgsql as $$
begin
  execute format('create function judged.refuse_one() returns trigger language plpgsql as
    ''begin if new.task_id = %s then raise exception ''''refused''''; end if; return new; end''', in_task_id);
  create trigger judge_before before update on async.task for each row execute procedure judged.refuse_one();
end
$$;

-- The statement for events of all kinds leaves all of them over, until the transaction ends.
create function judged.plain_writes_only() returns void language plpgsql as $$
begin
  execute 'create or replace function async.write_events_at_once(in_events async.event_t[]) returns async.event_t[]
    language plpgsql as ''begin return in_events; end''';
end
$$;

-- The claims, or ends, that are left over.
create function judged.claim(in_ids bigint[], in_runs int[]) returns text[] language sql as $$
  select array_agg(concat_ws(' ', e.task_id, e.run, e.event) order by e.task_id)
  from unnest(async.write_at_once(in_ids, in_runs, array_fill(now(), array[cardinality(in_ids)]),
    array_fill('1 day'::interval, array[cardinality(in_ids)]), '{}', '{}', '{}', '{}')) e
$$;

create function judged.end(in_ids bigint[], in_runs int[]) returns text[] language sql as $$
  select array_agg(concat_ws(' ', e.task_id, e.run, e.event) order by e.task_id)
  from unnest(async.write_at_once('{}', '{}', '{}', '{}', in_ids, in_runs,
    array_fill(now(), array[cardinality(in_ids)]), '{}')) e
$$;

-- The attempts that a writer notes. Tasks with a policy fail at the first (1) and the last attempt (3), and succeed at
-- the second (2) and the first one (5). A task without one fails (4).
create function judged.attempts(in_how text) returns text language plpgsql as $$
declare
  v_events async.event_t[];
begin
  truncate async.task, async.request, async.offer, async.attempt;
  insert into async.task (task_id, target, query, run, consumed, times_up, tracked, retry, attempt)
  select i, 't', 'select 1', 1, timestamptz '2026-01-01', 'infinity', true,
    case when i <> 4 then '{"max_attempts": 3, "delay_us": 1, "delay_max_us": 1, "sqlstates": ["any"]}'::jsonb end,
    case when i in (1, 5) then 0 when i = 2 then 1 when i = 3 then 2 end
  from generate_series(1, 5) i;
  v_events := array(
    select row(i, 1, case when i in (2, 5) then 'END_OK' else 'END_ERROR' end, timestamptz '2026-01-02', null, null,
      case when i not in (2, 5) then '40001: x' end, null, null, null, null, null)::async.event_t
    from generate_series(1, 5) i
    where in_how <> 'ends' or i not in (2, 5));
  case in_how
    when 'at once' then
      perform async.write_events_at_once(v_events);
    when 'by row' then
      perform async.write_row(e, null) from unnest(v_events) e;
    when 'ends' then
      perform async.write_at_once('{}', '{}', '{}', '{}', '{2,5}', '{1,1}', '{2026-01-02,2026-01-02}', v_events);
  end case;
  if exists (select from async.task t where (t.processed is null) <> (t.task_id = 1)) then
    raise exception 'another task than the first one has not ended';
  end if;
  return (
    select string_agg(concat_ws(' ', a.task_id, a.run, a.attempt, a.status, a.error), ', ' order by a.task_id)
    from async.attempt a where a.began = '2026-01-01' and a.ended = '2026-01-02');
end
$$;

-- What became of a task.
create function judged.became(in_task_id bigint) returns text language sql stable as $$
  select concat_ws(' ',
    case
      when r.request_id is not null then 'request'
      when t.processed is not null then 'processed'
      when t.eligible_when is not null then 'deferred'
      when t.consumed is null and t.yielded is null then 'ready'
      else 'unfinished'
    end,
    coalesce(r.status, t.finish_status), coalesce(r.error_message, t.processing_error), r.duration)
  from async.task t left join async.request r on r.task_id = t.task_id
  where t.task_id = in_task_id
$$;

-- A server that was led before.
insert into async.leader (server_id, system_identifier, database_oid) select '', '', 0
where not exists (select from async.leader);
