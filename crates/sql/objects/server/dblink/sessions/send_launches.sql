-- Purpose: sends the queries of claimed and marked tasks, each on the session that its mark names. A
--   send blocks while its target does not read, so the other tasks of a target that blocked the leader
--   are given back, and wait until that time is compensated (see async.note_blocked_time).
-- Returns: the number of queries that were sent.
-- Raises: nothing because of a single session.
-- Locks: none.
create or replace function async.send_launches()
returns int
language plpgsql
as $function$
declare
  c_query_bytes_max constant int := async.query_bytes_max();
  -- A text has fewer results than bytes, except those of rules.
  c_results_of_rules_max constant int := 100;
  c_receiving_max constant interval := '1 second';
  c_receiving_for_a_byte_max constant interval := '10 microseconds';
  v_launch record;
  v_kind text;
  v_result text;
  v_workers int[] := '{}';
  v_kinds text[] := '{}';
  v_bytes int[] := '{}';
  v_slow text[] := '{}';
begin
  for v_launch in
    -- A query that is too long is not read.
    select s.worker, s.conn, s.target, s.task_id, octet_length(t.query) as bytes,
      case when octet_length(t.query) <= c_query_bytes_max then t.query end as query,
      t.may_reach_self is false
        and exists (select from async.session a where a.session_id = s.session_id and a.at_self) as not_granted
    from pg_temp.leader_worker s
    left join async.task t on t.task_id = s.task_id
    where s.state = 'claimed'
    order by s.worker
  loop
    if v_launch.target = any (v_slow) then
      update pg_temp.leader_worker s set state = 'ended', outcome = 'unsent', sent = null, since = clock_timestamp()
      where s.worker = v_launch.worker;
      continue;
    end if;
    v_kind := case when v_launch.query is null or v_launch.not_granted then 'refused'
      else async.classify_query(v_launch.query) end;
    if v_kind = 'refused' then
      update pg_temp.leader_worker s
      set state = 'ended', outcome = 'error', sent = null, since = clock_timestamp(),
          error = coalesce(async.refuse_query(v_launch.bytes),
            case when v_launch.not_granted then 'PA082: the target leads to the server itself as its owner, and the task '
              'was pushed without a grant on SELF' end,
            'PA205: COPY from STDIN or to STDOUT has no client to talk to here; use a file, or insert ... select')
      where s.worker = v_launch.worker;
      continue;
    end if;
    v_result := async.send_query(v_launch.worker, v_launch.conn, v_launch.target, async.wrap_query(
      replace(v_launch.query, '##flow.TASK_ID##', v_launch.task_id::text), v_kind));
    if v_result in ('sent', 'slow') then
      v_workers := v_workers || v_launch.worker;
      v_kinds := v_kinds || v_kind;
      v_bytes := v_bytes || v_launch.bytes;
    end if;
    if v_result in ('slow', 'unread') then
      v_slow := v_slow || v_launch.target;
    end if;
  end loop;
  update pg_temp.leader_worker s
  set state = 'running', since = clock_timestamp(), sent = v_kinds[array_position(v_workers, s.worker)],
      results_left = c_results_of_rules_max + v_bytes[array_position(v_workers, s.worker)],
      receiving_left = c_receiving_max + c_receiving_for_a_byte_max * v_bytes[array_position(v_workers, s.worker)],
      connections_closed = false
  where s.worker = any (v_workers);
  return cardinality(v_workers);
end
$function$;
