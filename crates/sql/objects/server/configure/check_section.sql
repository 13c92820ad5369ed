-- Purpose: checks an object. Refuses an unknown key and an invalid value.
-- Returns: nothing.
-- Raises: PA060.
-- Locks: none.
create or replace function async.check_section(in_path text, in_section text, in_object jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_setting record;
begin
  if jsonb_typeof(in_object) <> 'object' then
    perform async.refuse_configuration(in_path,
      format('must be an object, not %s', async.describe_json_type(jsonb_typeof(in_object))));
  end if;
  for v_setting in
    select s.key, s.value, k.out_kind as kind
    from jsonb_each(in_object) s
    left join async.configuration_keys() k on k.out_section = in_section and k.out_key = s.key
    order by s.key collate "C"
  loop
    if v_setting.kind is null then
      perform async.refuse_configuration(in_path || '.' || v_setting.key, 'is no setting');
    end if;
    perform async.check_setting(in_path || '.' || v_setting.key, v_setting.kind, v_setting.value);
  end loop;
end
$function$;
