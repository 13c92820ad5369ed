-- Purpose: says goodbye: closes every session, publishes that nobody leads, gives up the locks. Sessions that still
--   run a query stay in the registry, for the next leader to fence; without any the goodbye is complete.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.control and async.leader.
create or replace function async.end_lead()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.drop_slot_session(s.slot)
  from pg_temp.leader_slot s where s.state in ('idle', 'cleaning', 'identifying');
  perform async.publish();
  update async.worker set task_id = null, running_since = null where task_id is not null;
  perform async.close_stale_sessions();
  update async.leader set goodbye = not exists (select from async.session);
  update async.control set pid = null, running_since = null;
  perform async.log_quiet('NOTICE', format('stopped leading: %s', l.stop)) from pg_temp.leader_state l;
end
$function$;
