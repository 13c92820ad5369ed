-- Purpose: sets the search path of the functions that fire user triggers or run routines to
--   control.trigger_search_path. The installation of each part ends with it, because the replacement
--   of a function resets its path. The first installation takes the path of the installer, without
--   the schemas in which PUBLIC or a client may create objects. pg_temp comes last, so that a
--   temporary table of the caller hides no other table.
-- Returns: nothing. A warning names the schemas that were left out, or that should be.
-- Raises: no error of class PA.
-- Locks: the catalog rows that it changes, the row of async.control.
create or replace function async.bind_trigger_path(in_installer_schemas text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_functions constant name[] := '{push_as,insert_pushed,push_scheduled,write_row,restrict_restarted,check_constraints,
    delete_tasks,call_routine}';
  v_path text[] := (select c.trigger_search_path from async.control c);
  v_untrusted text[] := async.untrusted_schemas(coalesce(v_path, in_installer_schemas));
  v_function regprocedure;
begin
  if v_path is null then
    v_path := array(
      select s.name
      from unnest(in_installer_schemas) with ordinality as s(name, position)
      where s.name <> all (v_untrusted) and s.name <> all ('{pg_catalog,pg_temp}')
      order by s.position);
    update async.control set trigger_search_path = v_path;
    if v_untrusted <> '{}' then
      raise warning 'triggers on async.task and routines do not find objects of the schema % by their bare names',
          array_to_string(v_untrusted, ', ')
        using detail = 'Other roles may create objects there, which could run as the owner of the schema async.',
          hint = 'Write the schema in front of such names; or revoke create on the schema from the others, '
            'then: select async.set_trigger_search_path(...)';
    end if;
  elsif v_untrusted <> '{}' then
    raise warning 'other roles may create objects in the schema %, which is on the search path of triggers and routines',
        array_to_string(v_untrusted, ', ')
      using detail = 'Such an object could run as the owner of the schema async.',
        hint = 'Revoke create on the schema from them, or: select async.set_trigger_search_path(...)';
  end if;
  for v_function in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'async'::regnamespace and p.proname = any (c_functions)
    order by p.oid
  loop
    execute format('alter function %s set search_path = %s', v_function,
      (select string_agg(quote_ident(s.name), ', ' order by s.position)
        from unnest(v_path || '{pg_temp}') with ordinality as s(name, position)));
  end loop;

  -- During an upgrade the function of an earlier version has bound what that version bound.
  for v_function in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'async'::regnamespace and p.proname = 'push_tasks'
      and not 'search_path=pg_catalog, pg_temp' = any (p.proconfig)
    order by p.oid
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', v_function);
  end loop;
end
$function$;
