-- Purpose: the first day from a day on that a cron expression matches.
-- Returns: a date; null when no day of the next 50 years matches (29 February on a given weekday
--   comes within 40).
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_cron_day(in_cron async.cron_t, in_from date)
returns date
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_months_max constant int := 12 * 50;
  v_month date := date_trunc('month', in_from::timestamp)::date;
  v_last date;
  v_day date;
  v_in_days bool;
  v_in_weekdays bool;
begin
  for v_n in 0..c_months_max loop
    if extract(month from v_month)::int = any (in_cron.months) then
      v_last := (v_month + interval '1 month')::date - 1;
      v_day := greatest(v_month, in_from);
      while v_day <= v_last loop
        v_in_days := extract(day from v_day)::int = any (in_cron.days) or in_cron.last_day and v_day = v_last;
        v_in_weekdays := extract(dow from v_day)::int = any (in_cron.weekdays)
          or extract(dow from v_day)::int = any (in_cron.last_weekdays) and v_day > v_last - 7;
        if v_in_days and v_in_weekdays or in_cron.either_day and (v_in_days or v_in_weekdays) then
          return v_day;
        end if;
        v_day := v_day + 1;
      end loop;
    end if;
    v_month := (v_month + interval '1 month')::date;
  end loop;
  return null;
end
$function$;
