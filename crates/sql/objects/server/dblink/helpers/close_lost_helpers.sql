-- Purpose: marks helpers whose connection is gone as closed in the memory of the leader.
-- Returns: nothing.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.close_lost_helpers()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_helper record;
begin
  -- A rollback does not undo connections, so a row may outlive its connection.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state <> 'closed' and h.conn <> all (coalesce((select public.dblink_get_connections()), '{}'))
    order by h.helper
  loop
    if v_helper.state = 'busy' then
      perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, null, 'the helper session is gone');
    end if;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null, replaced = false
    where h.helper = v_helper.helper;
  end loop;
end
$function$;
