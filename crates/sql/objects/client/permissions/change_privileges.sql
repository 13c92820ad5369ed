-- Purpose: grants to a role the privileges of a client or an administrator on the installed objects; or
--   revokes all privileges of the role in the schema, whichever version granted them. An installation
--   repeats the grants (async.restore_privileges), so that they include new functions.
-- Returns: nothing.
-- Raises: PA080 when the role does not exist.
-- Locks: the catalog rows of the objects whose privileges it changes.
create or replace function async.change_privileges(in_role text, in_level text, in_grant bool) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- On a client database, finish, cancel and defer call request_finish.
  c_client_calls constant name[] := '{client_only,server,masked_server,task,push_tasks,push_as,push_forwarded,
    push_task,push,push_many,push_many_as,push_many_forwarded,push_each,targets,targets_as,targets_forwarded,
    finish,request_finish,cancel,defer,restart_task,restart,restart_as,restart_forwarded,restart_many_forwarded,
    get_tasks,pull_as,get_tasks_forwarded,wait_for_latch,wait_for,forward_wait_for,await_ends,
    run,check_run,try_to_commit,run_result,
    get_result,forward_get_result,may_read_result,
    roles_of,ambiguous_roles,is_pushed_by,why_task_waits,task_execution_state,interval_pretty,next_time,schedule,schedule_as,unschedule,pause_schedule,resume_schedule,
    change_schedule_as}';
  c_admin_calls constant name[] := '{configure,configure_as,configure_forwarded,set_server_as,log,tail,tail_once,
    worker_info,active_workers,reinitialize_workers,set_concurrency_pool_tracker,mask_connection_string,references_secret,leader_exists,
    discover_lanes,pool_limit,is_paused,leader_session,standby_sessions,lane_backlog,read_metrics,waits_for_launch,waits_for_offer,write_off_session,
    change_part_as,set_target,retire_target,refuse_configuration,set_pool,set_control,configuration,target_setup}';
  -- Columns that only the owner can read.
  c_secrets constant name[] := '{connection_string,self_connection_string,secret}';
  v_statement text;
begin
  if not exists (select from pg_roles r where r.rolname = in_role) then
    raise exception 'there is no role %', coalesce(quote_ident(in_role), 'null')
      using errcode = 'PA080', hint = 'Create it first: create role ...';
  end if;
  if not in_grant then
    perform async.revoke_privileges(in_role);
    return;
  end if;
  for v_statement in
    select format('usage on schema async')
    union all
    select format('usage on type %s', t.oid::regtype)
    from pg_type t
    where t.typnamespace = 'async'::regnamespace
      and (t.typtype = 'e' or t.oid = 'async.task_push_t'::regtype)
    union all
    select format('execute on routine %s', p.oid::regprocedure)
    from pg_proc p
    where p.pronamespace = 'async'::regnamespace
      and (p.proname = any (c_client_calls) or in_level = 'admin' and p.proname = any (c_admin_calls))
    union all
    select 'select on async.task'
    union all
    select 'select on async.result'
    union all
    select 'select on async.attempt'
    where to_regclass('async.attempt') is not null
    union all
    -- It shows the texts of schedules to their owners only.
    select 'select on async.v_schedule'
    where to_regclass('async.v_schedule') is not null
    union all
    select 'select on async.v_my_task'
    where to_regclass('async.v_my_task') is not null
    union all
    select 'select on async.caller'
    union all
    select 'select (client_only, version) on async.client_control'
    union all
    -- Tables and views. Grants on tables name the columns, because some hold connection strings.
    select case when c.relkind = 'v' then format('select on %s', c.oid::regclass)
      else format('select (%s) on %s', string_agg(quote_ident(a.attname), ', ' order by a.attnum), c.oid::regclass) end
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where in_level = 'admin'
      and c.relnamespace = 'async'::regnamespace and c.relkind in ('r', 'v')
      and (c.relkind = 'v' or a.attname <> all (c_secrets))
    group by c.oid, c.relkind
    union all
    select 'update (enabled, paused) on async.control'
    where in_level = 'admin' and to_regclass('async.control') is not null
  loop
    execute format('grant %s to %I', v_statement, in_role);
  end loop;
end
$function$;
