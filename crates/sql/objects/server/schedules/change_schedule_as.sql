-- Purpose: async.unschedule, async.pause_schedule and async.resume_schedule (in_change: remove, pause,
--   resume) for the role that read in_ticket from async.caller. Its owner and administrators may do so.
--   Times during a pause pass; times that wait for the end of a task go on waiting after it.
-- Returns: the next time of a schedule that is not paused then.
-- Raises: PA0A3 for an unknown schedule, PA0A4 for a schedule of another role, PA0A2 for the removal of
--   a schedule that async.configure has made; insufficient_privilege for a ticket that is not that of the
--   caller.
-- Locks: the row of the schedule, until the end of the transaction; as async.wake_leader.
create or replace function async.change_schedule_as(in_caller name, in_ticket bytea, in_name text, in_change text)
returns timestamptz
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_now constant timestamptz := clock_timestamp();
  v_path constant text := format('schedule %s', coalesce(quote_literal(left(in_name, 100)), 'null'));
  s async.schedule;
begin
  perform async.scope_of(in_caller, in_ticket, null);
  select o.* into s from async.schedule o where o.schedule = in_name for update;
  if not found then
    raise exception '%: there is no such schedule', v_path
      using errcode = 'PA0A3', hint = 'async.v_schedule lists the schedules.';
  elsif not (async.is_owner(in_caller)
    or exists (select from pg_roles r where r.oid = s.owner and pg_has_role(in_caller, r.oid, 'usage'))
    or exists (select from async.role_grant g where g.level = 'admin' and pg_has_role(in_caller, g.grantee::oid, 'usage')))
  then
    raise exception '%: the schedule belongs to the role %', v_path, s.owner
      using errcode = 'PA0A4', hint = 'Its owner and administrators may change it.';
  elsif in_change = 'remove' then
    if s.configured then
      perform async.check_schedule_owner(v_path, s, s.owner, false);
    end if;
    delete from async.schedule o where o.schedule = in_name;
    return null;
  elsif in_change = 'pause' then
    update async.schedule o set paused = true, look_at = null where o.schedule = in_name and not o.paused;
    return null;
  elsif s.paused then
    if s.next_time <= v_now then
      s.last_time := async.newest_time(s."when", s.time_zone, s.next_time, v_now);
      s.next_time := async.next_time(s."when", s.time_zone, s.last_time);
    end if;
    update async.schedule o
    set paused = false, last_time = s.last_time, next_time = s.next_time,
      look_at = case when exists (select from async.schedule_wait w where w.schedule = in_name) then v_now
        else s.next_time end
    where o.schedule = in_name;
    perform async.wake_leader();
  end if;
  return s.next_time;
end
$function$;
