-- Drops the routines and views of the library. Those of users stay, in this schema too. The only function that
-- indexes and views of users may use, async.task_execution_state, is replaced later, and not dropped.
do $drop_routines$
declare
  v_role name;
  v_views text;
  v_routines text;
  v_detail text;
begin
  for v_role in
    select distinct r.rolname
    from (
      select n.nspacl as acl, n.nspowner as owner from pg_namespace n where n.nspname = 'async'
      union all
      select p.proacl, p.proowner from pg_proc p where p.pronamespace = 'async'::regnamespace
    ) o
    cross join lateral aclexplode(o.acl) a
    join pg_roles r on r.oid = a.grantee
    where a.grantee <> o.owner
    order by r.rolname
  loop
    raise notice 'the role % could use the library; to let it use pgasync: select async.grant_client(%)',
      quote_ident(v_role), quote_literal(v_role);
  end loop;

  select string_agg(c.oid::regclass::text, ', ') into v_views
  from pg_class c
  where c.relnamespace = 'async'::regnamespace and c.relkind = 'v'
    and c.relname = any ('{v_target,v_target_status,v_candidate_task,v_candidate_task_experimental,
      v_task_assigned_worker,v_worker_info,v_concurrency_pool_info,v_server_info}');
  select string_agg(p.oid::regprocedure::text, ', ') into v_routines
  from pg_proc p
  where p.pronamespace = 'async'::regnamespace
    and p.proname = any ('{server,configure,finish,defer,cancel,task,push_tasks,push_task,wait_for_latch,get_tasks,
      restart_task,debug_log,log,initialize_workers,reinitialize_workers,active_workers,candidate_tasks,disconnect,
      wrap_query,set_concurrency_pool_tracker,run_tasks_experimental,run_tasks,get_tasks_internal,check_task_ids,
      check_orchestrator,finish_internal,reap_tasks,query_with_timeout,maintenance,run_internal,do_work,push_routine,
      clear_latches,acquire_mutex,run_routines,cycle,main,interval_pretty,worker_info,tail_once,tail}');
  if v_views is not null then
    execute 'drop view ' || v_views;
  end if;
  if v_routines is not null then
    execute 'drop routine ' || v_routines;
  end if;
  drop table if exists async.worker, async.concurrency_pool_tracker, async.request_latch;
exception when dependent_objects_still_exist then
  get stacked diagnostics v_detail = pg_exception_detail;
  raise exception 'objects of this database depend on a part of the schema async that the installation replaces'
    using errcode = 'PA219', detail = v_detail,
      hint = 'Drop them, install, and create them again. Nothing was changed.';
end
$drop_routines$;
