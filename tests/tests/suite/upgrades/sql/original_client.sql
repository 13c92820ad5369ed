-- What a client database of the library has, described for the tests: types and control, and as much of the calls
-- as an installation meets (their names, arguments and results).
create schema async;

create table async.client_control (
  client_only boolean default true,
  connection_string text default '',
  version text default '1.0'
);
create unique index on async.client_control ((1));
insert into async.client_control default values;

create type async.finish_status_t as enum
  ('FINISHED', 'FAILED', 'CANCELED', 'PAUSED', 'TIMED_OUT', 'YIELDED', 'DOA', 'DEFERRED');
create type async.task_push_t as (
  task_data jsonb, target text, priority int, query text, concurrency_pool text, manual_timeout interval,
  track_yielded boolean);
create type async.task_run_type_t as enum ('EXECUTE', 'DOA', 'EMPTY', 'EXECUTE_NOASYNC');

create function async.server(inout _new_connection_string text default null) language plpgsql as $$
begin
  update async.client_control set connection_string = coalesce(_new_connection_string, connection_string)
  returning connection_string into _new_connection_string;
end $$;

create function async.configure(_configuration jsonb) returns void language plpgsql as $$
begin
  raise 'the fixture is configured with rows';
end $$;

create function async.task(
  _query text, target text, task_data jsonb default null, priority int default 0, concurrency_pool text default null,
  manual_timeout interval default null, track_yielded boolean default null)
returns async.task_push_t language sql immutable as
$$ select row(task_data, target, priority, _query, concurrency_pool, manual_timeout, track_yielded)::async.task_push_t $$;

create function async.push_tasks(
  _tasks async.task_push_t[], _run_type async.task_run_type_t default 'EXECUTE', _source text default null)
returns setof bigint language plpgsql security definer as $$
begin
  return query
  insert into async.task (task_data, target, priority, query, asynchronous_finish, source, concurrency_pool,
    manual_timeout, track_yielded, failed, finish_status, consumed, processed)
  select p.task_data, p.target, coalesce(p.priority, 0), p.query,
    t.asynchronous_finish and _run_type not in ('EXECUTE_NOASYNC', 'EMPTY'), _source,
    coalesce(p.concurrency_pool, t.target), p.manual_timeout,
    coalesce(p.track_yielded, t.concurrency_track_yielded, true),
    case _run_type when 'DOA' then true when 'EMPTY' then false end,
    case _run_type when 'DOA' then 'DOA' when 'EMPTY' then 'FINISHED' end::async.finish_status_t,
    case when _run_type in ('DOA', 'EMPTY') then clock_timestamp() end,
    case when _run_type in ('DOA', 'EMPTY') then clock_timestamp() end
  from unnest(_tasks) with ordinality p
  join async.target t using (target)
  order by p.ordinality
  returning task_id;
end $$;

create function async.push_task(
  _task async.task_push_t, _run_type async.task_run_type_t default 'EXECUTE', _source text default 'manual push')
returns bigint language sql as $$ select * from async.push_tasks(array[_task], _run_type, _source) $$;

-- Outside of the orchestrator, a finish is a task of the self target without a query.
create function async.finish(
  _task_ids bigint[], _status async.finish_status_t, _error_message text, _duration interval)
returns void language plpgsql security definer as $$
begin
  perform async.push_tasks(
    array[async.task(null, c.self_target, jsonb_build_object('task_ids', _task_ids, 'status', _status,
      'error_message', _error_message, 'duration', _duration), -99)],
    _source => 'async.finish')
  from async.control c;
end $$;
create function async.finish(_task_ids bigint[], _status async.finish_status_t, _error_message text)
returns void language sql as $$ select async.finish(_task_ids, _status, _error_message, null) $$;
create function async.cancel(_task_ids bigint[], _error_message text default 'manual cancel')
returns void language sql as $$ select async.finish(_task_ids, 'CANCELED', _error_message) $$;
create function async.defer(_task_ids bigint[], _duration interval)
returns void language sql as $$ select async.finish(_task_ids, 'DEFERRED', null, _duration) $$;

create function async.wait_for_latch() returns void language plpgsql security definer as $$
begin
  raise 'no orchestrator serves the fixture';
end $$;
create function async.get_tasks(
  _target text, _limit int default 1, _timeout interval default '30 seconds',
  out task_id bigint, out priority int, out times_up timestamptz, out task_data jsonb)
returns setof record language plpgsql as $$ begin return; end $$;
create function async.restart_task(_task_id bigint) returns void language plpgsql as $$
begin
  update async.task set processed = null, yielded = null, consumed = null, eligible_when = null, finish_status = null,
    source = 'async.restart_task', processing_error = null, tracked = false, times_up = null
  where task_id = _task_id and processed is not null;
end $$;
