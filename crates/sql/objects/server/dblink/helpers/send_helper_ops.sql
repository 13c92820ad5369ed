-- Purpose: sends the operations that are due to free helpers.
-- Returns: nothing.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.send_helper_ops()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_helper record;
  v_op record;
begin
  if not async.helpers_are_due() then
    return;
  end if;
  for v_helper in
    select h.* from pg_temp.leader_helper h where h.state in ('idle', 'closed') order by h.helper
  loop
    v_op := async.next_helper_op(v_helper.lane);
    continue when v_op.op is null;
    if v_helper.state = 'closed' or not async.session_is_alive(v_helper.conn) then
      continue when not async.open_helper(v_helper.helper);
    end if;
    perform public.dblink_send_query(v_helper.conn, case v_op.op
      when 'probe' then format('select async.probe_target(%L)', v_op.target)
      else format('select async.end_sessions(%L, %L, %L)', v_op.ids, v_op.op,
        -- The recorded address and the present one, in turns.
        (select coalesce(bool_or(f.failures % 2 = 1), false) from pg_temp.leader_fence f
          where v_op.op = 'fence' and f.session_id = any (v_op.ids)))
    end);
    update pg_temp.leader_helper h
    set state = 'busy', op = v_op.op, target = v_op.target, ids = v_op.ids, since = clock_timestamp()
    where h.helper = v_helper.helper;
    perform async.note_helper_op(v_op.op, v_op.target, v_op.ids);
  end loop;
end
$function$;
