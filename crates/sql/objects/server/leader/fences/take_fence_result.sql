-- Purpose: processes the result of a fence: sessions that are gone are removed from the registry
--   and their tasks are settled. The others are retried, shown in async.v_lost_session, and logged
--   at the first, second, fourth, eighth try, and so on.
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
  perform async.take_resolved_receipts(f.receipts)
  from jsonb_to_recordset(in_found) f(state text, receipts jsonb) where f.state = 'gone' and f.receipts is not null;
  perform async.forget_sessions(array(
    select (f ->> 'id')::bigint from jsonb_array_elements(in_found) f where f ->> 'state' = 'gone'));
  update pg_temp.leader_fence f
  set failures = f.failures + 1, unreachable = n.state = 'unreached' or f.unreachable and n.state <> 'waiting',
      retry_at = clock_timestamp() + async.backoff(f.failures + 1, '500 milliseconds', '10 seconds', random())
  from jsonb_to_recordset(in_found) n(id bigint, state text)
  where f.session_id = n.id;
  update pg_temp.leader_worker s set unreachable = true
  from pg_temp.leader_fence f
  where f.session_id = s.session_id and f.unreachable and s.state = 'lost' and not s.unreachable;
  update async.session s
  set lost_since = coalesce(s.lost_since, clock_timestamp()), lost_error = n.error
  from (
    select f.id, coalesce(f.error, async.spared_session_reason(f.id)) as error
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
        async.spared_session_reason(v_left.id))
      when v_left.state <> 'waiting' then format(
        '%s sessions at target "%s" (backend %s is the first) cannot be ended yet (try %s): %s. '
        'When it is known to be gone: select async.write_off_session(%s)',
        v_left.sessions, in_target, v_left.pid, v_left.failures, v_left.error, v_left.id)
      end)
    where v_left.state <> 'waiting' or v_left.failures = 1;
  end loop;

  -- A failure is one of the target only if the address that failed is its present one.
  perform async.note_target_failure(in_target, n.error)
  from jsonb_to_recordset(in_found) n(id bigint, state text, error text)
  join async.session s on s.session_id = n.id
  where n.state in ('failed', 'unreached')
    and async.same_server(s.connection_string, async.current_conninfo(in_target))
  order by n.id
  limit 1;
end
$function$;
