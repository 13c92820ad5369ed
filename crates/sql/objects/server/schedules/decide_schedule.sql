-- Purpose: decides which times of a schedule fire now. All times up to in_last are decided, and in_next
--   is the first one after it. in_times_max: how many may fire in this call.
--   catch_up all: each time that has come, in order; the rest in later calls. last: the newest one.
--   none: the newest one, unless it is more than a minute late.
--   A clock that was set back by more than an hour goes on from now. After a smaller step no time fires
--   before the clock shows the next one.
-- Returns: the times that fire; in_last and in_next as they are then; whether the clock was set back.
-- Raises: as async.next_time.
-- Locks: none.
create or replace function async.decide_schedule(
  in_when text, in_time_zone text, in_catch_up text, in_last timestamptz, in_next timestamptz, in_now timestamptz,
  in_times_max int,
  out out_fires timestamptz[], out out_last timestamptz, out out_next timestamptz, out out_set_back bool
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_set_back_min constant interval := '1 hour';
  c_late_max constant interval := '1 minute';
begin
  out_fires := '{}';
  out_last := in_last;
  out_next := in_next;
  out_set_back := in_last > in_now + c_set_back_min;
  if out_set_back then
    out_last := in_now;
    out_next := async.next_time(in_when, in_time_zone, in_now);
  elsif in_next > in_now or in_times_max <= 0 then
    null;
  elsif in_catch_up = 'all' then
    while out_next <= in_now and cardinality(out_fires) < in_times_max loop
      out_fires := out_fires || out_next;
      out_last := out_next;
      out_next := async.next_time(in_when, in_time_zone, out_last);
    end loop;
  else
    out_last := async.newest_time(in_when, in_time_zone, in_next, in_now);
    out_next := async.next_time(in_when, in_time_zone, out_last);
    if in_catch_up = 'last' or out_last >= in_now - c_late_max then
      out_fires := array[out_last];
    end if;
  end if;
end
$function$;
