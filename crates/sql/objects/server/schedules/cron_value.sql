-- Purpose: reads one value of a field of a cron expression, a number or a name.
-- Returns: the number.
-- Raises: PA0A0.
-- Locks: none.
create or replace function async.cron_value(
  in_when text, in_name text, in_text text, in_min int, in_max int, in_names text[]
)
returns int
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The first name is that of 0 for weekdays, and of 1 for months.
  v_value int := case
    when in_text ~ '^[0-9]+$' then in_text::int
    else array_position(in_names, lower(in_text)) - 1 + case when in_names[1] = 'jan' then 1 else 0 end
  end;
begin
  if v_value is null then
    perform async.refuse_schedule(in_when, format('"%s" is no name of a %s', in_text, in_name));
  end if;
  if v_value not between in_min and in_max then
    perform async.refuse_schedule(in_when,
      format('%s is no %s: it is from %s to %s', v_value, in_name, in_min, in_max));
  end if;
  return v_value;
end
$function$;
