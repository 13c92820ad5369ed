-- Purpose: the sending was interrupted: tells from the sessions which of the claimed tasks were sent. Those that were
--   not stay claimed.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.doubt_launches()
returns void
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  v_slot record;
  v_read record;
begin
  for v_slot in select s.slot, s.conn from pg_temp.leader_slot s where s.state = 'claimed' order by s.slot loop
    if dblink_is_busy(v_slot.conn) = 1 then
      update pg_temp.leader_slot s set state = 'running', sent = 'raw', since = clock_timestamp()
      where s.slot = v_slot.slot;
      continue;
    end if;
    v_read := async.read_results(v_slot.conn);
    if v_read.code is not null or v_read.value is not null then
      update pg_temp.leader_slot s set state = 'running', sent = 'raw', since = clock_timestamp()
      where s.slot = v_slot.slot;
    end if;
    if v_read.code is not null then
      perform async.note_query_error(v_slot.slot, v_read.code, v_read.error);
    end if;
  end loop;
end
$function$;
