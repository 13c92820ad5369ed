-- Purpose: the moment between two moments at which the offset of a time zone changes. The offsets at
--   the two moments differ, and both have whole seconds.
-- Returns: the first moment with the offset of in_late.
-- Raises: invalid_parameter_value for an unknown time zone.
-- Locks: none.
create or replace function async.next_offset_change(in_early timestamptz, in_late timestamptz, in_time_zone text)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_offset constant interval := (in_early at time zone in_time_zone) - (in_early at time zone 'UTC');
  v_early timestamptz := in_early;
  v_late timestamptz := in_late;
  v_middle timestamptz;
begin
  while v_late > v_early + interval '1 second' loop
    v_middle := v_early + make_interval(secs => floor(extract(epoch from v_late - v_early)::float8 / 2));
    if (v_middle at time zone in_time_zone) - (v_middle at time zone 'UTC') = v_offset then
      v_early := v_middle;
    else
      v_late := v_middle;
    end if;
  end loop;
  return v_late;
end
$function$;
