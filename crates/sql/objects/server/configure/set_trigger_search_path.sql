-- Purpose: sets the schemas in which triggers on async.task and routines find unqualified names.
--   Only the owner may call it: triggers and routines run as the owner, so a role that may create
--   objects in one of these schemas can run code as the owner.
-- Returns: nothing. A warning names schemas in which PUBLIC or a client may create objects.
-- Raises: PA061 for a schema that does not exist.
-- Locks: the row of async.control, and the catalog rows of the functions.
create or replace function async.set_trigger_search_path(variadic _schemas text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_missing text;
begin
  select s.name into v_missing
  from unnest(_schemas) with ordinality as s(name, position)
  where not exists (select from pg_namespace n where n.nspname = s.name) and s.name is distinct from 'pg_temp'
  order by s.position
  limit 1;
  if found then
    raise exception 'there is no schema %', coalesce(quote_literal(v_missing), 'null')
      using errcode = 'PA061', hint = 'Name schemas that exist: select async.set_trigger_search_path(''public'')';
  end if;
  update async.control
  set trigger_search_path = array(
    select s.name
    from unnest(_schemas) with ordinality as s(name, position)
    where s.name not in ('pg_catalog', 'pg_temp')
    order by s.position);
  perform async.bind_trigger_path('{}');
end
$function$;
