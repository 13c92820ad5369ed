-- The statements of the hot path keep one generic plan (the setting exists from Postgres 12 on).
-- Planning costs more than running them, and the settings of their functions exclude every bad
-- plan.
do $finish$
declare
  v_function regprocedure;
begin
  if current_setting('server_version_num')::int < 120000 then
    return;
  end if;
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace = 'async'::regnamespace and 'enable_seqscan=off' = any (p.proconfig)
    order by p.oid
  loop
    execute format('alter function %s set plan_cache_mode = force_generic_plan', v_function);
  end loop;
  -- The triggers and routines of users have the plans that they have in other sessions.
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and p.proname = any ('{write_row,restrict_restarted,check_constraints,delete_tasks,call_routine}')
    order by p.oid
  loop
    execute format('alter function %s set plan_cache_mode = auto', v_function);
  end loop;
end
$finish$;
