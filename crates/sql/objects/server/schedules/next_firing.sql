-- Purpose: when the leader has to call async.fire_schedules next.
-- Returns: timestamptz; null when there is no schedule that is not paused; in_now after the clock was
--   set back (async.decide_schedule).
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_firing(in_now timestamptz) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $function$
begin
  if exists (select from async.schedule s where s.last_time > in_now + interval '1 hour' and s.look_at is not null) then
    return in_now;
  end if;
  return (select s.look_at from async.schedule s where s.look_at is not null order by s.look_at limit 1);
end
$function$;
