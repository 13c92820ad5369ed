-- Purpose: the next time of a schedule after a time. Both engines use it.
--   Cron expressions count in the time zone. Without a * in minute and hour, a time that the clocks
--   skip fires once, after the gap, and a time that they show twice fires the first time. With a *,
--   each moment fires at which the clocks show a matching time. An interval counts from _after.
-- Returns: timestamptz; null when _after is null or infinite.
-- Raises: PA0A0 for a schedule that cannot be read or never fires; invalid_parameter_value for an
--   unknown time zone.
-- Locks: none.
create or replace function async.next_time(_when text, _time_zone text, _after timestamptz)
returns timestamptz
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_changes_max constant int := 1000;
  c_near constant interval := '1 day';
  v_cron constant async.cron_t := async.parse_when(_when);
  -- The first whole second after _after.
  v_from timestamptz := date_trunc('second', _after + interval '1 second');
  v_local timestamp;
  v_match timestamp;
  v_found timestamptz;
  v_near timestamptz;
begin
  if _after is null or not isfinite(_after) then
    return null;
  elsif v_cron.every is not null then
    return _after + v_cron.every;
  end if;
  v_local := v_from at time zone _time_zone;
  if v_cron.fixed then
    -- Not from the second after it, which may follow a gap.
    v_local := date_trunc('second', _after) at time zone _time_zone;
    loop
      v_match := async.next_cron_local(v_cron, v_local);
      exit when v_match is null;
      v_found := async.first_instant(v_match, _time_zone);
      if v_found > _after then
        return v_found;
      end if;
      v_local := v_match + interval '1 second';
    end loop;
  else
    for v_n in 1..c_changes_max loop
      v_match := async.next_cron_local(v_cron, v_local);
      exit when v_match is null;
      v_found := v_from + (v_match - v_local);
      v_near := least(v_found, v_from + c_near);
      if (v_near at time zone _time_zone) - (v_near at time zone 'UTC')
          <> v_local - (v_from at time zone 'UTC') then
        v_from := async.next_offset_change(v_from, v_near, _time_zone);
      elsif v_near = v_found then
        return v_found;
      else
        -- No clock shows a local time twice that is so far away, and none skips two days.
        v_from := greatest(v_near, v_found - 2 * c_near);
      end if;
      v_local := v_from at time zone _time_zone;
    end loop;
  end if;
  perform async.refuse_schedule(_when, 'it never fires');
end
$function$;
