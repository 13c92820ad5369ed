-- Purpose: adapts the functions that call dblink to the schema of the extension. The installation
--   of each part ends with it, because the replacement of a function resets its search_path.
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
      and p.prosrc ~ '\mdblink'
      -- A function without a search_path (user triggers would inherit it) calls dblink only through
      -- functions that have one.
      and exists (select from unnest(p.proconfig) c where c like 'search_path=%')
    order by p.oid
  loop
    execute format('alter function %s set search_path = pg_catalog, async, %I, pg_temp', v_function, v_schema);
  end loop;
  -- Functions of every cycle of the orchestrator qualify the name instead, because a SET clause
  -- costs time at every call.
  for v_function in
    select p.oid::regprocedure
    from pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and p.prokind = 'f'
      and p.proname <> 'bind_dblink'
      and p.prosrc ~ '\mpublic\.dblink_'
      and v_schema <> 'public'
    order by p.oid
  loop
    execute replace(pg_get_functiondef(v_function), 'public.dblink_', quote_ident(v_schema) || '.dblink_');
  end loop;
end
$function$;
