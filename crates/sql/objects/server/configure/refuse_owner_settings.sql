-- Purpose: refuses changes of the settings by which something runs as the owner: routines, and how
--   the server itself is reached. A value that is there already is accepted, so that a document that
--   was read can be given back. For roles other than the owner.
-- Returns: nothing.
-- Raises: PA084.
-- Locks: none.
create or replace function async.refuse_owner_settings(in_control jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_key text;
begin
  select n.key into v_key
  from async.control c
  cross join lateral jsonb_each(in_control) n
  where n.key in ('self_target', 'self_connection_string', 'startup_routines', 'loop_routines')
    and n.value <> 'null'
    and n.value is distinct from to_jsonb(c) -> n.key
  order by n.key collate "C"
  limit 1;
  if v_key is not null then
    raise exception 'control.%: only the owner of the schema async may change it', v_key
      using errcode = 'PA084', hint = 'Nothing was changed. Leave it out, or configure as the owner.';
  end if;
end
$function$;
