-- Purpose: adds a setting from the entry of the self target to control.
-- Returns: in_control with the setting.
-- Raises: PA060 when control has another value for it.
-- Locks: none.
create or replace function async.merge_self_setting(
  in_control jsonb, in_key text, in_path text, in_kind text, in_value jsonb) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_value is null then
    return in_control;
  end if;
  perform async.check_setting(in_path, in_kind, in_value);
  if in_control ->> in_key is not null and in_control -> in_key <> in_value then
    perform async.refuse_configuration(in_path, format('differs from control.%s, which means the same', in_key));
  end if;
  return in_control || jsonb_build_object(in_key, in_value);
end
$function$;
