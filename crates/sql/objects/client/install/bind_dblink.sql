-- Purpose: adapts the functions that call dblink to the schema of the extension. Their source names
--   the schema public. The installation of each part ends with this function, because the
--   replacement of a function restores the source.
-- Returns: nothing.
-- Raises: no error of class PA.
-- Locks: the catalog rows that it changes.
create or replace function async.bind_dblink() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_schema name;
  v_function regprocedure;
begin
  select n.nspname into v_schema
  from pg_extension e
  join pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'dblink';
  for v_function in
    select p.oid::regprocedure
    from pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and p.prokind = 'f'
      and p.proname <> 'bind_dblink'
      and p.prosrc ~ E'\\mpublic\\.dblink(_|\\()'
      and v_schema <> 'public'
    order by p.oid
  loop
    execute regexp_replace(pg_get_functiondef(v_function), E'\\mpublic\\.dblink(?=_|\\()',
      replace(quote_ident(v_schema), E'\\', E'\\\\') || '.dblink', 'g');
  end loop;
end
$function$;
