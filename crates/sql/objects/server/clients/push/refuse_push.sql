-- Purpose: raises the error of the first element of a document for async.push_many that cannot be
--   read, with its path: the position of the element, counted from 1, and the option.
-- Returns: nothing, if every element can be read.
-- Raises: PA010 for no target; PA01D for what is no object, an unknown option or an invalid value.
-- Locks: none.
create or replace function async.refuse_push(in_tasks jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_element record;
  v_option record;
  v_type text;
  v_known text;
begin
  select string_agg(o.name, ', ') into v_known from async.push_options() o;
  for v_element in
    select e.it, e.place from jsonb_array_elements(in_tasks) with ordinality as e(it, place) order by e.place
  loop
    if jsonb_typeof(v_element.it) <> 'object' then
      raise exception 'task % must be an object, not %', v_element.place,
          async.describe_json_type(jsonb_typeof(v_element.it))
        using errcode = 'PA01D', hint = 'async.push_many takes [{"query": ..., "target": ...}, ...].';
    end if;
    for v_option in
      select g.key as name, g.value, o.json_type
      from jsonb_each(v_element.it) g
      left join async.push_options() o on o.name = g.key
      order by g.key collate "C"
    loop
      v_type := jsonb_typeof(v_option.value);
      if v_option.json_type is null then
        raise exception 'task %.%: is no option', v_element.place, left(v_option.name, 100)
          using errcode = 'PA01D', hint = 'The options are: ' || v_known || '.';
      elsif v_type not in (v_option.json_type, 'null') and v_option.json_type <> 'any' then
        raise exception 'task %.%: must be %, not %', v_element.place, v_option.name,
            async.describe_json_type(v_option.json_type), async.describe_json_type(v_type)
          using errcode = 'PA01D', hint = 'Nothing was pushed. Mend the element and push again.';
      end if;
      begin
        perform from jsonb_to_record(jsonb_build_object(v_option.name, v_option.value))
          as r(priority int, timeout interval, run_at timestamptz, expires_at timestamptz);
        -- The columns are read.
        perform coalesce(r.priority::text, r.timeout::text, r.run_at::text, r.expires_at::text)
        from jsonb_to_record(jsonb_build_object(v_option.name, v_option.value))
          as r(priority int, timeout interval, run_at timestamptz, expires_at timestamptz);
      exception when data_exception then
        raise exception 'task %.%: %', v_element.place, v_option.name, sqlerrm
          using errcode = 'PA01D', hint = 'Nothing was pushed. Mend the element and push again.';
      end;
    end loop;
    if v_element.it ->> 'target' is null then
      raise exception 'task % has no target', v_element.place
        using errcode = 'PA010', hint = 'Name a configured target, or SELF for the server itself.';
    end if;
  end loop;
end
$function$;
