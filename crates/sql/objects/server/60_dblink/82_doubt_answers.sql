-- Purpose: a stage was interrupted: what it did in memory is undone, what it read from its sessions is not. Queries that
--   run are in doubt: one that ends without a word may have said it before. Other sessions are opened anew.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.doubt_answers(in_stage text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_stage = 'reap' then
    update pg_temp.leader_slot s set doubt = true where s.state = 'running';
    perform async.drop_slot_session(s.slot)
    from pg_temp.leader_slot s where s.state in ('identifying', 'cleaning');
  elsif in_stage = 'helpers' then
    perform async.close_session(h.conn) from pg_temp.leader_helper h;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null;
    update pg_temp.leader_fence f set retry_at = clock_timestamp() where f.retry_at = 'infinity';
    update pg_temp.leader_target t set health = 'unknown' where t.health = 'probing';
  end if;
end
$function$;

-- Purpose: a whole cycle was undone: what any of its stages read from a session may be lost.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.doubt_everything()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_slot s set doubt = true where s.state = 'running';
  begin
    perform async.doubt_answers('reap');
    perform async.doubt_answers('helpers');
  exception when assert_failure or others then
    null;
  end;
end
$function$;

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
