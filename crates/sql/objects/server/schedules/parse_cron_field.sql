-- Purpose: reads one field of a cron expression: values, names, ranges and steps, with commas.
--   Not what only a field of days may have (L, $), which the caller takes out first.
-- Returns: the values in order.
-- Raises: PA0A0.
-- Locks: none.
create or replace function async.parse_cron_field(
  in_when text, in_name text, in_field text, in_min int, in_max int, in_names text[]
)
returns int[]
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_item text;
  v_parts text[];
  v_from int;
  v_to int;
  v_step int;
  v_values int[] := '{}';
begin
  foreach v_item in array string_to_array(in_field, ',') loop
    v_parts := regexp_match(v_item, '^([*]|[0-9]{1,4}|[a-z]{3})(-([0-9]{1,4}|[a-z]{3}))?(/([0-9]{1,4}))?$', 'i');
    if v_parts is null then
      perform async.refuse_schedule(in_when, format('"%s" is no value, range or step of the %s', v_item, in_name));
    end if;
    v_step := v_parts[5];
    if v_parts[1] = '*' then
      if v_parts[3] is not null then
        perform async.refuse_schedule(in_when, format('"%s": a range of the %s begins with a value', v_item, in_name));
      end if;
      v_from := in_min;
      v_to := in_max;
    else
      v_from := async.cron_value(in_when, in_name, v_parts[1], in_min, in_max, in_names);
      v_to := case when v_parts[3] is null then v_from
        else async.cron_value(in_when, in_name, v_parts[3], in_min, in_max, in_names) end;
      if v_parts[3] is null and v_step is not null then
        perform async.refuse_schedule(in_when,
          format('"%s": a step needs a range, such as %s-%s/%s', v_item, v_from, in_max, v_step));
      end if;
    end if;
    if v_from > v_to then
      perform async.refuse_schedule(in_when, format('"%s": the range of the %s runs backwards', v_item, in_name));
    end if;
    if v_step = 0 then
      perform async.refuse_schedule(in_when, format('"%s": the step of the %s is 0', v_item, in_name));
    end if;
    v_values := v_values || array(select generate_series(v_from, v_to, coalesce(v_step, 1)));
  end loop;
  return array(select distinct v from unnest(v_values) v order by v);
end
$function$;
