-- Purpose: sends the queries of claimed and marked tasks, each on the session that its mark names.
-- Returns: the number of queries that were sent.
-- Raises: nothing because of a single session.
-- Locks: none.
create or replace function async.send_launches()
returns int
language plpgsql
as $function$
declare
  v_launch record;
  v_kind text;
  v_workers int[] := '{}';
  v_kinds text[] := '{}';
begin
  for v_launch in
    select s.worker, s.conn, s.task_id, t.query,
      t.may_reach_self is false
        and exists (select from async.session a where a.session_id = s.session_id and a.at_self) as is_refused
    from pg_temp.leader_worker s
    left join async.task t on t.task_id = s.task_id
    where s.state = 'claimed'
    order by s.worker
  loop
    v_kind := coalesce(case when not v_launch.is_refused then async.classify_query(v_launch.query) end, 'refused');
    if v_kind = 'refused' then
      update pg_temp.leader_worker s
      set state = 'ended', outcome = 'error', sent = null, since = clock_timestamp(),
          error = case when v_launch.query is null then 'the query of the task is gone'
            when v_launch.is_refused then 'PA082: the target leads to the server itself as its owner, and the task was '
              'pushed without a grant on SELF'
            else 'PA205: COPY from STDIN or to STDOUT has no client to talk to here; use a file, or insert ... select' end
      where s.worker = v_launch.worker;
      continue;
    end if;
    begin
      if public.dblink_send_query(v_launch.conn, async.wrap_query(
          replace(v_launch.query, '##flow.TASK_ID##', v_launch.task_id::text), v_kind)) = 1 then
        v_workers := v_workers || v_launch.worker;
        v_kinds := v_kinds || v_kind;
      else
        perform async.lose_session(v_launch.worker);
      end if;
    exception when others then
      perform async.lose_session(v_launch.worker);
    end;
  end loop;
  update pg_temp.leader_worker s
  set state = 'running', since = clock_timestamp(), sent = v_kinds[array_position(v_workers, s.worker)]
  where s.worker = any (v_workers);
  return cardinality(v_workers);
end
$function$;
