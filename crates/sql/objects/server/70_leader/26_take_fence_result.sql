-- Purpose: what a fence found out: sessions that are gone are forgotten and what they held is freed; the others are tried
--   again, shown in async.v_lost_session and logged, the first time and each time that it has taken twice as many tries.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.take_fence_result(in_target text, in_found jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_left record;
begin
  perform async.forget_sessions(array(
    select (f ->> 'id')::bigint from jsonb_array_elements(in_found) f where f ->> 'state' = 'gone'));
  update pg_temp.leader_fence f
  set failures = f.failures + 1, unreachable = n.state = 'unreached' or f.unreachable and n.state <> 'waiting',
      retry_at = clock_timestamp() + async.backoff(f.failures + 1, '500 milliseconds', '10 seconds', random())
  from jsonb_to_recordset(in_found) n(id bigint, state text)
  where f.session_id = n.id;
  update pg_temp.leader_slot s set unreachable = true
  from pg_temp.leader_fence f
  where f.session_id = s.session_id and f.unreachable and s.state = 'lost' and not s.unreachable;
  update async.session s
  set lost_since = coalesce(s.lost_since, clock_timestamp()), lost_error = n.error
  from (
    select f.id, coalesce(f.error, async.left_alone(f.id)) as error
    from jsonb_to_recordset(in_found) f(id bigint, state text, error text) where f.state <> 'gone') n
  where s.session_id = n.id and (s.lost_since is null or s.lost_error is distinct from n.error);

  for v_left in
    select n.state, n.error, min(n.id) as id, count(*) as sessions, f.failures, min(s.pid) as pid
    from jsonb_to_recordset(in_found) n(id bigint, state text, error text)
    join pg_temp.leader_fence f on f.session_id = n.id
    join async.session s on s.session_id = n.id
    where n.state <> 'gone' and f.failures & (f.failures - 1) = 0
    group by n.state, n.error, f.failures
    order by min(n.id)
  loop
    perform async.log_quiet('WARNING', case
      when v_left.state = 'waiting' and v_left.failures = 1 then format(
        '%s sessions at target "%s" (backend %s is the first): %s', v_left.sessions, in_target, v_left.pid,
        async.left_alone(v_left.id))
      when v_left.state <> 'waiting' then format(
        '%s sessions at target "%s" (backend %s is the first) cannot be ended yet (try %s): %s. '
        'When it is known to be gone: select async.write_off_session(%s)',
        v_left.sessions, in_target, v_left.pid, v_left.failures, v_left.error, v_left.id)
      end)
    where v_left.state <> 'waiting' or v_left.failures = 1;
  end loop;

  -- The target itself is in doubt only where the address that failed is its present one.
  perform async.suspect_target(in_target, n.error)
  from jsonb_to_recordset(in_found) n(id bigint, state text, error text)
  join async.session s on s.session_id = n.id
  where n.state in ('failed', 'unreached')
    and async.same_server(s.connection_string, async.present_conninfo(in_target))
  order by n.id
  limit 1;
end
$function$;

-- Purpose: why sessions are not ended by a fence, in a sentence.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.left_alone(in_session bigint)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format(
    'left alone until it ends, since address, port or timeline of this server have changed: it may belong to another '
    'server, of which this is a copy. If this is the copy, stop the orchestrator and select async.adopt(); if nothing uses '
    'the session any more, select async.write_off_session(%s)', in_session)
$function$;

-- Purpose: how a target is reached now.
-- Returns: text, null where there is no such target, or it has no connection string.
-- Raises: nothing.
-- Locks: none.
create or replace function async.present_conninfo(in_target text)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select case when t.target = c.self_target then async.self_conninfo() else t.connection_string end
  from async.target t cross join async.control c
  where t.target = in_target
$function$;

-- Purpose: sessions are known to be gone, or do not count any more: takes them out of the registry, and frees what they
--   held.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session; the rows of async.task that it changes.
create or replace function async.forget_sessions(in_sessions bigint[])
returns void
language plpgsql
as $function$
begin
  delete from pg_temp.leader_fence f where f.session_id = any (in_sessions);
  delete from async.session s where s.session_id = any (in_sessions);
  perform async.free_lost_slots(in_sessions);
end
$function$;

-- Purpose: sessions that an operator wrote off, or took out of the registry by hand, count as gone.
-- Returns: how many.
-- Raises: nothing.
-- Locks: see async.forget_sessions.
create or replace function async.take_write_offs()
returns int
language plpgsql
as $function$
declare
  v_off bigint[];
begin
  v_off := array(
    select f.session_id
    from pg_temp.leader_fence f
    left join async.session s on s.session_id = f.session_id
    where s.session_id is null or s.written_off);
  if v_off <> '{}' then
    perform async.forget_sessions(v_off);
  end if;
  return pg_catalog.cardinality(v_off);
end
$function$;
