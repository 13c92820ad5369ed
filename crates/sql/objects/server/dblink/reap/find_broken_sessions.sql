-- Purpose: finds sessions whose connection broke without a word, or that libpq calls busy for ever because it broke
--   between an error and the end of the query: the error message tells.
-- Returns: how many.
-- Raises: nothing.
-- Locks: none.
create or replace function async.find_broken_sessions()
returns int
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  v_slot record;
  v_found int := 0;
begin
  for v_slot in
    select s.slot, s.state, s.outcome, s.target, s.conn, s.cleaning
    from pg_temp.leader_slot s
    where case when s.state in ('identifying', 'running', 'cleaning') and dblink_is_busy(s.conn) = 1
      then coalesce(dblink_error_message(s.conn), 'OK') not in ('OK', '') else false end
  loop
    v_found := v_found + 1;
    if v_slot.state <> 'running' then
      perform async.drop_slot_session(v_slot.slot);
    elsif v_slot.cleaning then
      perform async.settle_reset(v_slot.slot, true, '08006', dblink_error_message(v_slot.conn));
    else
      if v_slot.outcome is null then
        perform async.note_query_error(v_slot.slot, '08006', dblink_error_message(v_slot.conn));
      end if;
      perform async.lose_slot(v_slot.slot);
    end if;
  end loop;
  return v_found;
end
$function$;
