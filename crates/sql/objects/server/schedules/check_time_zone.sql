-- Purpose: checks the name of a time zone.
-- Returns: the name as pg_timezone_names has it.
-- Raises: PA0A1.
-- Locks: none.
create or replace function async.check_time_zone(in_path text, in_time_zone text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_name text;
begin
  -- The view reads the files of all zones.
  if in_time_zone = 'UTC' then
    return in_time_zone;
  end if;
  select z.name into v_name from pg_timezone_names z where lower(z.name) = lower(in_time_zone) limit 1;
  if v_name is null then
    perform async.refuse_schedule_option(in_path, 'time_zone', format('there is no time zone %L', left(in_time_zone, 100)),
      'pg_timezone_names has the names.');
  end if;
  return v_name;
end
$function$;
