-- Purpose: ends the lead: closes every session, and publishes that no orchestrator leads. Sessions
--   that may still run a query stay in the registry, and the next leader fences them. The goodbye
--   is complete when the registry is empty. An orchestrator that lost the lead writes nothing.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: async.leader as async.hold_epoch; the rows of async.control and async.leader.
create or replace function async.end_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_state record;
begin
  select l.epoch, l.stop, l.deposed into v_state from pg_temp.leader_state l;
  begin
    perform async.hold_epoch(v_state.epoch);
  exception when sqlstate 'PA212' then
    v_state.deposed := true;
  end;
  if v_state.deposed then
    raise warning 'another orchestrator has taken the lead: this one ends' using errcode = 'PA212';
    return;
  end if;
  perform async.drop_session(s.worker)
  from pg_temp.leader_worker s where s.state in ('idle', 'cleaning', 'identifying');
  perform async.publish();
  perform async.close_own_connections();
  perform async.lead_goodbye(v_state.stop);
  if v_state.stop like 'PA213: %' then
    raise warning '%', substr(v_state.stop, 8) using errcode = 'PA213';
  end if;
end
$function$;
