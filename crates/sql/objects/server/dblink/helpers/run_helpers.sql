-- Purpose: everything that may block for long, through sessions to this server itself,
--   asynchronously: takes in what they found, gives up those that are stuck, and hands out what is
--   due. One is kept for cancels, one for targets never seen failing; the others do whatever is
--   due. One that is stuck counts until its pid is gone.
-- Returns: how many results came in.
-- Raises: nothing of a single helper's.
-- Locks: none.
create or replace function async.run_helpers()
returns int
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  c_helper_seconds_max constant interval := '8 seconds';
  v_helper record;
  v_read record;
  v_op record;
  v_came int := 0;
begin
  -- Connections are not undone with a transaction: a row may outlive the connection that it names.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state <> 'closed' and h.conn <> all (coalesce((select dblink_get_connections()), '{}'))
    order by h.helper
  loop
    if v_helper.state = 'busy' then
      perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, null, 'the helper session is gone');
    end if;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null
    where h.helper = v_helper.helper;
  end loop;

  for v_helper in
    select h.* from pg_temp.leader_helper h
    where case when h.state in ('busy', 'stuck') then dblink_is_busy(h.conn) = 0 else false end
    order by h.helper
  loop
    v_read := async.read_results(v_helper.conn);
    -- An error, or a row, may be here before the end of the query is: it is taken now, since it
    -- does not come twice.
    continue when not (v_read.ended or v_helper.state = 'busy' and (v_read.code is not null or v_read.value is not null));
    v_came := v_came + 1;
    if v_helper.state = 'busy' then
      perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, v_read.value, v_read.error);
      if not v_read.ended then
        update pg_temp.leader_helper h set state = 'stuck' where h.helper = v_helper.helper;
        continue;
      end if;
    end if;
    if async.ends_session(v_read.code) then
      perform async.close_session(v_helper.conn);
      update pg_temp.leader_helper h set state = 'closed' where h.helper = v_helper.helper;
    else
      update pg_temp.leader_helper h set state = 'idle', op = null, target = null, ids = null
      where h.helper = v_helper.helper;
    end if;
  end loop;

  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'busy' and h.since < clock_timestamp()
      - case when h.op = 'probe' then interval '2500 milliseconds' else c_helper_seconds_max end
  loop
    perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, null,
      'no answer within the time that a connection may take');
    -- From 16 on this ends a blocked connect at once; before, only its connect_timeout does.
    perform pg_cancel_backend(v_helper.pid);
    update pg_temp.leader_helper h set state = 'stuck' where h.helper = v_helper.helper;
  end loop;

  -- One that not even the cancel freed is terminated, and given up once it is gone.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'stuck' and h.since < clock_timestamp() - 2 * c_helper_seconds_max
  loop
    if exists (select from pg_stat_get_activity(v_helper.pid) a where a.pid = v_helper.pid) then
      perform pg_terminate_backend(v_helper.pid);
    else
      perform async.close_session(v_helper.conn);
      update pg_temp.leader_helper h set state = 'closed' where h.helper = v_helper.helper;
    end if;
  end loop;

  if not async.helpers_are_due() then
    return v_came;
  end if;
  for v_helper in
    select h.* from pg_temp.leader_helper h where h.state in ('idle', 'closed') order by h.helper
  loop
    v_op := async.next_helper_op(v_helper.lane);
    continue when v_op.op is null;
    if v_helper.state = 'closed' or not async.session_is_alive(v_helper.conn) then
      continue when not async.open_helper(v_helper.helper);
    end if;
    perform dblink_send_query(v_helper.conn, case v_op.op
      when 'probe' then format('select async.probe_target(%L)', v_op.target)
      else format('select async.end_sessions(%L, %L, %L)', v_op.ids, v_op.op,
        -- The recorded address first, then the present one, in turns.
        (select coalesce(bool_or(f.failures % 2 = 1), false) from pg_temp.leader_fence f
          where v_op.op = 'fence' and f.session_id = any (v_op.ids)))
    end);
    update pg_temp.leader_helper h
    set state = 'busy', op = v_op.op, target = v_op.target, ids = v_op.ids, since = clock_timestamp()
    where h.helper = v_helper.helper;
    perform async.note_helper_op(v_op.op, v_op.target, v_op.ids);
  end loop;
  return v_came;
end
$function$;
