-- Purpose: the first moment at which the clocks of a time zone show a local time. In a gap, where no
--   clock shows it, the end of the gap.
-- Returns: timestamptz.
-- Raises: invalid_parameter_value for an unknown time zone.
-- Locks: none.
create or replace function async.first_instant(in_local timestamp, in_time_zone text)
returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- No zone changes its offset twice within this time.
  c_around constant interval := '26 hours';
  v_utc constant timestamptz := in_local at time zone 'UTC';
  v_before constant timestamptz := v_utc - c_around;
  v_after constant timestamptz := v_utc + c_around;
  v_offset_before constant interval := (v_before at time zone in_time_zone) - (v_before at time zone 'UTC');
  v_offset_after constant interval := (v_after at time zone in_time_zone) - (v_after at time zone 'UTC');
  v_early constant timestamptz := v_utc - greatest(v_offset_before, v_offset_after);
  v_late constant timestamptz := v_utc - least(v_offset_before, v_offset_after);
begin
  if v_early at time zone in_time_zone = in_local then
    return v_early;
  elsif v_late at time zone in_time_zone = in_local then
    return v_late;
  end if;
  return async.next_offset_change(v_early, v_late, in_time_zone);
end
$function$;
