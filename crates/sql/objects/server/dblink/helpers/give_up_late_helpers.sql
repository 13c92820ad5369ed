-- Purpose: gives up helpers that are late: cancels their query, later terminates their backend, and
--   closes the helper when the backend is gone. A few helpers whose backends do not end are replaced.
-- Returns: nothing.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.give_up_late_helpers()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_helper_seconds_max constant interval := '8 seconds';
  -- Each keeps a connection to this server.
  c_replaced_max constant int := 8;
  v_helper record;
  v_number int;
begin
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'busy' and h.since < clock_timestamp()
      - case when h.op = 'probe' then interval '2500 milliseconds' else c_helper_seconds_max end
  loop
    perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, null,
      'no answer within the time that a connection may take');
    -- From Postgres 16 on the cancel ends a blocked connection attempt at once. Before, only
    -- connect_timeout ends it.
    perform pg_cancel_backend(v_helper.pid);
    update pg_temp.leader_helper h set state = 'stuck' where h.helper = v_helper.helper;
  end loop;

  -- A helper that the cancel did not free is terminated, and closed when it is gone.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'stuck' and h.since < clock_timestamp() - 2 * c_helper_seconds_max
  loop
    if exists (select from pg_stat_get_activity(v_helper.pid) a where a.pid = v_helper.pid) then
      perform pg_terminate_backend(v_helper.pid);
    else
      perform async.close_session(v_helper.conn);
      update pg_temp.leader_helper h set state = 'closed', replaced = false where h.helper = v_helper.helper;
    end if;
  end loop;

  -- libpq cannot be interrupted while it changes the encoding of a new connection.
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where h.state = 'stuck' and not h.replaced and h.since < clock_timestamp() - 3 * c_helper_seconds_max
    order by h.helper
    limit c_replaced_max - (select count(*) from pg_temp.leader_helper r where r.replaced)
  loop
    v_number := (select max(h.helper) + 1 from pg_temp.leader_helper h);
    insert into pg_temp.leader_helper (helper, conn, lane)
    values (v_number, 'pgasync_helper_' || v_number, v_helper.lane);
    update pg_temp.leader_helper h set replaced = true where h.helper = v_helper.helper;
    perform async.log_quiet('WARNING', format(
      'target "%s" keeps the helper session with backend %s of this server: it is replaced', v_helper.target, v_helper.pid));
  end loop;
end
$function$;
