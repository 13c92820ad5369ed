-- Purpose: reads the times of a schedule: a cron expression of five or six fields (with seconds in
--   front), one of its abbreviations, or an interval such as "every 30 seconds".
-- Returns: the values of each field.
-- Raises: PA0A0.
-- Locks: none.
-- (Longer than a screen: the fields, in order.)
create or replace function async.parse_when(in_when text)
returns async.cron_t
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_interval_max constant interval := '1000000 hours';
  c_months constant text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
  c_weekdays constant text[] := '{sun,mon,tue,wed,thu,fri,sat}';
  v_text text := lower(btrim(regexp_replace(in_when, '[[:space:]]+', ' ', 'g')));
  v_parts text[];
  v_fields text[];
  v_days text[];
  v_cron async.cron_t;
begin
  if v_text is null or octet_length(in_when) > 1000 then
    perform async.refuse_schedule(left(in_when, 50), 'it is null or longer than 1000 bytes');
  end if;
  v_parts := regexp_match(v_text, '^(?:every )?([0-9]{1,9}) ?(second|minute|hour)s?$');
  if v_parts is not null then
    v_cron.every := (v_parts[1] || ' ' || v_parts[2])::interval;
    if v_cron.every <= '0' or v_cron.every > c_interval_max then
      perform async.refuse_schedule(in_when, 'the interval is 0 or too long');
    end if;
    return v_cron;
  end if;
  v_text := case v_text
    when '@yearly' then '0 0 1 1 *' when '@annually' then '0 0 1 1 *' when '@monthly' then '0 0 1 * *'
    when '@weekly' then '0 0 * * 0' when '@daily' then '0 0 * * *' when '@midnight' then '0 0 * * *'
    when '@hourly' then '0 * * * *' else v_text end;
  v_fields := string_to_array(v_text, ' ');
  if cardinality(v_fields) = 5 then
    v_fields := array['0'] || v_fields;
  elsif cardinality(v_fields) <> 6 then
    perform async.refuse_schedule(in_when, format('it has %s fields', cardinality(v_fields)));
  end if;
  v_cron.seconds := async.parse_cron_field(in_when, 'second', v_fields[1], 0, 59, '{}');
  v_cron.minutes := async.parse_cron_field(in_when, 'minute', v_fields[2], 0, 59, '{}');
  v_cron.hours := async.parse_cron_field(in_when, 'hour', v_fields[3], 0, 23, '{}');
  -- The last day of the month: L, or $ as in pg_cron.
  v_days := string_to_array(v_fields[4], ',');
  v_cron.last_day := 'l' = any (v_days) or '$' = any (v_days);
  v_days := array_remove(array_remove(v_days, 'l'), '$');
  v_cron.days := case when v_days = '{}' then '{}'
    else async.parse_cron_field(in_when, 'day', array_to_string(v_days, ','), 1, 31, '{}') end;
  v_cron.months := async.parse_cron_field(in_when, 'month', v_fields[5], 1, 12, c_months);
  -- The last such weekday of the month: 5L.
  v_days := array(select d from unnest(string_to_array(v_fields[6], ',')) d where d !~ '^([0-7]|[a-z]{3})l$');
  v_cron.last_weekdays := array(
    select async.cron_value(in_when, 'weekday', left(d, -1), 0, 7, c_weekdays) % 7
    from unnest(string_to_array(v_fields[6], ',')) d where d ~ '^([0-7]|[a-z]{3})l$');
  v_cron.weekdays := case when v_days = '{}' then '{}'
    else array(
      -- 7 is Sunday, as 0 is.
      select distinct w % 7 as w
      from unnest(async.parse_cron_field(in_when, 'weekday', array_to_string(v_days, ','), 0,
        case when array_to_string(v_days, ',') ~ '^[*]' then 6 else 7 end, c_weekdays)) w
      order by w) end;
  -- As in cron: both fields of days count where one of them begins with *, and either one otherwise.
  v_cron.either_day := v_fields[4] !~ '^[*]' and v_fields[6] !~ '^[*]';
  -- Cron fires at each matching minute of the zone where minute or hour has a *.
  v_cron.fixed := v_fields[2] !~ '[*]' and v_fields[3] !~ '[*]';
  return v_cron;
end
$function$;
