-- Purpose: the last time of a schedule up to a time, of which in_first is one. Times are skipped by
--   bisection, so the number of steps grows with the logarithm of the gap.
-- Returns: timestamptz, from in_first to in_now.
-- Raises: as async.next_time.
-- Locks: none.
create or replace function async.newest_time(in_when text, in_time_zone text, in_first timestamptz, in_now timestamptz)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_every constant interval := (async.parse_when(in_when)).every;
  -- One of the times, and a time after which there is none up to in_now.
  v_low timestamptz := in_first;
  v_high timestamptz := in_now;
  v_middle timestamptz;
  v_next timestamptz;
begin
  if v_every is not null then
    return in_first + v_every * div(
      (extract(epoch from in_now - in_first)::numeric * 1000000)::bigint::numeric,
      (extract(epoch from v_every)::numeric * 1000000)::bigint::numeric)::float8;
  end if;
  loop
    v_next := async.next_time(in_when, in_time_zone, v_low);
    exit when v_next > v_high;
    v_low := v_next;
    -- In seconds, since days would depend on the time zone of the session.
    v_middle := v_low + make_interval(secs => extract(epoch from v_high - v_low)::float8 / 2);
    v_next := async.next_time(in_when, in_time_zone, v_middle);
    if v_next > v_high then
      v_high := v_middle;
    else
      v_low := v_next;
    end if;
  end loop;
  return v_low;
end
$function$;
