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
