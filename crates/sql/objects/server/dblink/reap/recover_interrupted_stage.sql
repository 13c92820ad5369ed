-- Purpose: restores the memory and the sessions after an interrupted stage. The changes of the
--   stage to the memory are rolled back, its calls on connections are not. Results that it read are
--   lost: the end of a running query becomes uncertain, and other sessions are opened anew. A
--   worker whose connection the stage closed has none.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the sessions' rows of async.session.
create or replace function async.recover_interrupted_stage(in_stage text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_open constant text[] := coalesce(public.dblink_get_connections(), '{}');
begin
  if in_stage = 'reap' then
    update pg_temp.leader_worker s set uncertain = true where s.state = 'running';
    perform async.drop_session(s.worker)
    from pg_temp.leader_worker s where s.state in ('identifying', 'cleaning');
  elsif in_stage = 'poll' then
    perform set_config('pgasync.polled', '', false);
  elsif in_stage = 'helpers' then
    perform async.close_session(h.conn) from pg_temp.leader_helper h;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null, replaced = false;
    update pg_temp.leader_fence f set retry_at = clock_timestamp() where f.retry_at = 'infinity';
    update pg_temp.leader_target t set health = 'unknown' where t.health = 'probing';
  end if;
  perform async.lose_session(s.worker)
  from pg_temp.leader_worker s where s.state = 'running' and s.conn <> all (v_open);
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state in ('identifying', 'idle', 'cleaning') and s.conn <> all (v_open);
end
$function$;
