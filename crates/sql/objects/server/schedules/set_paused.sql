-- Purpose: pauses a schedule, or ends its pause. The times during a pause pass; times that wait for the
--   end of a task go on waiting after it.
-- Returns: its next time; null while it is paused.
-- Raises: as async.next_time.
-- Locks: the row of the schedule, until the end of the transaction.
create or replace function async.set_paused(in_schedule text, in_paused bool, in_now timestamptz) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  s async.schedule;
begin
  select o.* into s from async.schedule o where o.schedule = in_schedule for update;
  if in_paused then
    update async.schedule o set paused = true, look_at = null where o.schedule = in_schedule and not o.paused;
    return null;
  elsif s.paused then
    if s.next_time <= in_now then
      s.last_time := async.newest_time(s."when", s.time_zone, s.next_time, in_now);
      s.next_time := async.next_time(s."when", s.time_zone, s.last_time);
    end if;
    update async.schedule o
    set paused = false, last_time = s.last_time, next_time = s.next_time,
      look_at = case when exists (select from async.schedule_wait w where w.schedule = in_schedule) then in_now
        else s.next_time end
    where o.schedule = in_schedule;
  end if;
  return s.next_time;
end
$function$;
