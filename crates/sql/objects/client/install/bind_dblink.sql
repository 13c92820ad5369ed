-- Purpose: points every function of ours that calls dblink at the schema that the extension is in.
--   Each part ends its installation with it, since replacing a function resets its path.
-- Returns: nothing.
-- Raises: nothing of ours.
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
      -- What must not set a path (users' triggers would inherit it) calls dblink through those that
      -- do.
      and exists (select from unnest(p.proconfig) c where c like 'search_path=%')
    order by p.oid
  loop
    execute format('alter function %s set search_path = pg_catalog, async, %I, pg_temp', v_function, v_schema);
  end loop;
  -- What runs in every cycle of the orchestrator names the schema instead, since a path costs time
  -- at every call.
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
