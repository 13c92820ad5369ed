-- Purpose: checks a list of targets or pools. Refuses an invalid entry, an entry without a name,
--   and a repeated name.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_entries(in_path text, in_section text, in_list jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_entry record;
  v_names text[] := '{}';
begin
  if jsonb_typeof(in_list) <> 'array' then
    perform async.refuse_configuration(in_path,
      format('must be an array, not %s', async.describe_json_type(jsonb_typeof(in_list))));
  end if;
  for v_entry in
    select format('%s[%s]', in_path, e.place - 1) as path, e.value, e.value ->> in_section as name
    from jsonb_array_elements(in_list) with ordinality as e(value, place)
    order by e.place
  loop
    perform async.check_section(v_entry.path, in_section, v_entry.value);
    if v_entry.name is null then
      perform async.refuse_configuration(v_entry.path || '.' || in_section, 'is required');
    elsif v_entry.name = any (v_names) then
      perform async.refuse_configuration(v_entry.path || '.' || in_section, format('%L is given twice', v_entry.name));
    end if;
    v_names := v_names || v_entry.name;
  end loop;
end
$function$;
