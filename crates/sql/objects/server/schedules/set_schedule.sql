-- Purpose: makes a schedule, or replaces the one of this name, for the calls and for async.configure.
--   in_options has the columns of async.schedule that async.schedule takes. A replaced schedule keeps
--   its state if its times and their zone stay the same, and stays paused if it was. With another target
--   no time of it waits any more.
-- Returns: its next time.
-- Raises: as async.check_schedule; PA0A2 if the name belongs to another owner, or to async.configure;
--   PA0A5 if the owner has too many schedules.
-- Locks: the row of the schedule, until the end of the transaction.
create or replace function async.set_schedule(
  in_path text, in_caller name, in_scope async.scope_t, in_options jsonb, in_configured bool, in_now timestamptz
) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  s async.schedule := jsonb_populate_record(null::async.schedule, in_options);
  v_old async.schedule;
begin
  s.time_zone := async.check_time_zone(in_path, coalesce(s.time_zone, 'UTC'));
  s.overlap := coalesce(s.overlap, 'skip');
  s.catch_up := coalesce(s.catch_up, 'last');
  perform async.check_schedule(in_path, in_caller, in_scope, s);
  select r.oid into s.owner from pg_roles r where r.rolname = in_caller;
  s.configured := in_configured;
  s.last_time := in_now;
  s.next_time := async.next_time(s."when", s.time_zone, in_now);
  s.look_at := s.next_time;
  s.paused := false;

  select o.* into v_old from async.schedule o where o.schedule = s.schedule for update;
  if not found then
    if (select count(*) from async.schedule o where o.owner = s.owner) >= async.schedules_max() then
      raise exception '%: the role % has % schedules', in_path, quote_ident(in_caller), async.schedules_max()
        using errcode = 'PA0A5', hint = 'Unschedule some, or use one schedule with tag:NAME for several targets.';
    end if;
    insert into async.schedule select s.* on conflict (schedule) do nothing;
    if found then
      return s.next_time;
    end if;
    -- Another transaction has made it meanwhile.
    select o.* into v_old from async.schedule o where o.schedule = s.schedule for update;
  end if;
  perform async.check_schedule_owner(in_path, v_old, s.owner, in_configured);
  if v_old."when" = s."when" and v_old.time_zone = s.time_zone then
    s.last_time := v_old.last_time;
    s.next_time := v_old.next_time;
    s.look_at := v_old.look_at;
  end if;
  if v_old.paused then
    s.paused := true;
    s.look_at := null;
  end if;
  if v_old.target <> s.target then
    delete from async.schedule_wait w where w.schedule = s.schedule;
  end if;
  update async.schedule o set
    owner = s.owner, "when" = s."when", time_zone = s.time_zone, query = s.query, target = s.target, overlap = s.overlap,
    catch_up = s.catch_up, priority = s.priority, concurrency_pool = s.concurrency_pool, timeout = s.timeout,
    task_data = s.task_data, track_yielded = s.track_yielded, source = s.source, retry = s.retry,
    expires_after = s.expires_after, receipt = s.receipt, paused = s.paused, last_time = s.last_time, next_time = s.next_time,
    look_at = s.look_at
  where o.schedule = s.schedule;
  return s.next_time;
end
$function$;
