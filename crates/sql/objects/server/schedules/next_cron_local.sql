-- Purpose: the first local time from a time on that a cron expression matches, on a calendar without
--   time zones. in_from has whole seconds.
-- Returns: a timestamp; null when the expression matches no day.
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_cron_local(in_cron async.cron_t, in_from timestamp)
returns timestamp
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_day date := async.next_cron_day(in_cron, in_from::date);
  v_hour int := 0;
  v_minute int := 0;
  v_second int := 0;
  v_found int;
begin
  if v_day = in_from::date then
    v_hour := extract(hour from in_from);
    v_minute := extract(minute from in_from);
    v_second := extract(second from in_from);
    select min(s) into v_found from unnest(in_cron.seconds) s where s >= v_second;
    if v_found is null then
      v_minute := v_minute + 1;
      v_second := 0;
    end if;
    select min(m) into v_found from unnest(in_cron.minutes) m where m >= v_minute;
    if v_found is null then
      v_hour := v_hour + 1;
      v_second := 0;
      v_minute := 0;
    elsif v_found > v_minute then
      v_second := 0;
      v_minute := v_found;
    end if;
    select min(h) into v_found from unnest(in_cron.hours) h where h >= v_hour;
    if v_found is null then
      v_day := async.next_cron_day(in_cron, v_day + 1);
      v_hour := 0;
      v_minute := 0;
      v_second := 0;
    elsif v_found > v_hour then
      v_hour := v_found;
      v_minute := 0;
      v_second := 0;
    end if;
  end if;
  return v_day + make_time(
    (select min(h) from unnest(in_cron.hours) h where h >= v_hour),
    (select min(m) from unnest(in_cron.minutes) m where m >= v_minute),
    (select min(s) from unnest(in_cron.seconds) s where s >= v_second));
end
$function$;
