-- Purpose: puts memory and sessions in order after an interrupted stage: what the stage did in
--   memory is undone, what it did with connections is not. What it read from sessions is lost: how a
--   running query ended becomes uncertain, and other sessions are opened anew. A worker whose
--   connection it closed has none.
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
  elsif in_stage = 'helpers' then
    perform async.close_session(h.conn) from pg_temp.leader_helper h;
    update pg_temp.leader_helper h set state = 'closed', op = null, target = null, ids = null;
    update pg_temp.leader_fence f set retry_at = clock_timestamp() where f.retry_at = 'infinity';
    update pg_temp.leader_target t set health = 'unknown' where t.health = 'probing';
  end if;
  perform async.lose_session(s.worker)
  from pg_temp.leader_worker s where s.state = 'running' and s.conn <> all (v_open);
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state in ('identifying', 'idle', 'cleaning') and s.conn <> all (v_open);
end
$function$;
