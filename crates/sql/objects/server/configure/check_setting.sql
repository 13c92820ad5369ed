-- Purpose: checks the value of a setting. A null keeps the present value and is always valid.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
-- (Longer than a screen: a list of kinds of settings.)
create or replace function async.check_setting(in_path text, in_kind text, in_value jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_sqlstates_max constant int := 100;
  v_type text := jsonb_typeof(in_value);
  v_text text := in_value #>> '{}';
  v_wanted text := case
    when in_kind = 'bool' then 'true or false'
    when in_kind in ('routines', 'tags', 'sqlstates') then 'an array'
    when in_kind in ('int', 'size', 'positive int', 'attempts', 'result bytes', 'seconds', 'factor', 'share') then 'a number'
    else 'a string'
  end;
  v_interval interval;
begin
  if in_kind in ('ignored', 'any') or v_type = 'null' then
    return;
  end if;
  if async.describe_json_type(v_type) <> v_wanted then
    perform async.refuse_configuration(in_path, format('must be %s, not %s',
      v_wanted, async.describe_json_type(v_type)));
  end if;

  if in_kind in ('int', 'size', 'positive int', 'attempts', 'result bytes') then
    if v_text !~ '^-?[0-9]+$' or v_text::numeric not between -2147483648 and 2147483647 then
      perform async.refuse_configuration(in_path,
        format('must be a whole number between -2147483648 and 2147483647, not %s', left(v_text, 40)));
    elsif in_kind = 'size' and v_text::numeric < 0 then
      perform async.refuse_configuration(in_path, format('must not be negative, and is %s', v_text));
    elsif in_kind = 'positive int' and v_text::numeric < 1 then
      perform async.refuse_configuration(in_path, format('must be at least 1, and is %s', v_text));
    elsif in_kind = 'attempts' and v_text::numeric not between 1 and 1000 then
      perform async.refuse_configuration(in_path, format('must be between 1 and 1000, and is %s', v_text));
    elsif in_kind = 'result bytes' and v_text::numeric not between 1024 and 16777216 then
      perform async.refuse_configuration(in_path, format('must be between 1024 and 16777216, and is %s', v_text));
    end if;
  elsif in_kind = 'seconds' then
    if v_text::numeric not between 0 and 86400 then
      perform async.refuse_configuration(in_path,
        format('must be between 0 and 86400 seconds, and is %s', left(v_text, 40)));
    end if;
  elsif in_kind in ('factor', 'share') then
    if v_text::numeric < (in_kind = 'factor')::int
      or v_text::numeric > (case in_kind when 'factor' then 100 else 1 end)
      or v_text::numeric <> round(v_text::numeric, 3) then
      perform async.refuse_configuration(in_path, format('must be between %s with at most three decimals, and is %s',
        case in_kind when 'factor' then '1 and 100' else '0 and 1' end, left(v_text, 40)));
    end if;
  elsif in_kind in ('interval', 'timeout') then
    begin
      v_interval := v_text::interval;
    exception
      when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
        perform async.refuse_configuration(in_path, format('%L is no interval', v_text));
    end;
    if v_interval < '0'::interval or (in_kind = 'timeout' and v_interval = '0'::interval) then
      perform async.refuse_configuration(in_path,
        format('must be %s, and is %L',
          case in_kind when 'timeout' then 'longer than nothing' else 'at least 0' end, v_text));
    elsif not (isfinite(v_interval) and async.is_usable_duration(v_interval)) then
      perform async.refuse_configuration(in_path, format('%L reaches beyond the end of time', v_text));
    end if;
  elsif in_kind in ('name', 'policy name') then
    if btrim(v_text, E' \t\n\r\f\x0b') = '' then
      perform async.refuse_configuration(in_path, 'must not be empty');
    elsif octet_length(v_text) > async.name_bytes_max() then
      perform async.refuse_configuration(in_path,
        format('must not be longer than %s bytes', async.name_bytes_max()));
    elsif in_kind = 'policy name' and v_text = 'none' then
      perform async.refuse_configuration(in_path, 'must not be none, which stands for no policy');
    end if;
  elsif in_kind in ('connection string', 'own connection string') then
    begin
      perform async.check_connection_string(v_text);
    exception
      when sqlstate 'PA001' then
        perform async.refuse_configuration(in_path, sqlerrm);
    end;
    -- The SQL engine reaches the server itself with it.
    if in_kind = 'own connection string' and async.references_secret(v_text) then
      perform async.refuse_configuration(in_path, 'must have no reference to a secret');
    end if;
  elsif in_kind in ('routines', 'tags') then
    if exists (
      select from jsonb_array_elements(in_value) r
      where jsonb_typeof(r) <> 'string' or btrim(r #>> '{}', E' \t\n\r\f\x0b') = '')
    then
      perform async.refuse_configuration(in_path, 'must be an array of strings that are not empty');
    elsif in_kind = 'tags' and exists (
      select from jsonb_array_elements(in_value) r where octet_length(r #>> '{}') > async.name_bytes_max())
    then
      perform async.refuse_configuration(in_path, format('no tag must be longer than %s bytes', async.name_bytes_max()));
    end if;
  elsif in_kind in ('overlap', 'catch up') then
    if v_text <> all (case in_kind when 'overlap' then async.schedule_overlaps() else async.schedule_catch_ups() end) then
      perform async.refuse_configuration(in_path, format('must be one of %s, not %L', array_to_string(
        case in_kind when 'overlap' then async.schedule_overlaps() else async.schedule_catch_ups() end, ', '),
        left(v_text, 100)));
    end if;
  elsif in_kind = 'sqlstates' then
    if jsonb_array_length(in_value) > c_sqlstates_max or exists (
      select from jsonb_array_elements(in_value) s
      where jsonb_typeof(s) <> 'string' or s #>> '{}' !~ '^([0-9A-Z]{2}|[0-9A-Z]{5}|transient|any|reported)$')
    then
      perform async.refuse_configuration(in_path, format('must be an array of up to %s SQLSTATEs, classes of two '
        'characters, and the names transient, any and reported', c_sqlstates_max));
    end if;
  end if;
end
$function$;
