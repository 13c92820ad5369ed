-- Purpose: async.restart on a server.
-- Returns: nothing.
-- Raises: PA030 for an unknown task, PA031 for an unfinished one, PA032 while its session is not
--   known to be gone, PA033 for a task with nothing to run, PA034 for a task that has expired, PA035
--   while another task has its unique key, PA082 for a task at a target outside of the scope of the
--   caller; the errors of user triggers.
-- Locks: the rows of the tasks, until the end of the transaction.
create or replace function async.restart_now(in_caller name, in_scope async.scope_t, in_task_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The writer takes the longer for a task, the more it gets at once.
  c_at_once constant int := 1000;
  v_ids bigint[];
  v_first int := 1;
  v_constraint text;
begin
  perform async.prepare_restart(in_caller, in_scope, in_task_ids);
  v_ids := array(select distinct i.id from unnest(in_task_ids) as i(id) order by i.id);
  begin
    while v_first <= cardinality(v_ids) loop
      perform from async.write_now(array(
        select row(i, null, 'RESTART', clock_timestamp(), null, null, null, null, null, null, null, null)::async.event_t
        from unnest(v_ids[v_first : v_first + c_at_once - 1]) i));
      v_first := v_first + c_at_once;
    end loop;
  exception when unique_violation then
    get stacked diagnostics v_constraint = constraint_name;
    if v_constraint <> 'task_unique_key' then
      raise;
    end if;
    raise exception '% cannot be restarted: another task has its unique key',
        case when cardinality(v_ids) = 1 then format('task %s', v_ids[1]) else 'one of the tasks' end
      using errcode = 'PA035', detail = sqlerrm, hint = 'Wait for the end of that task, or cancel it.';
  end;
  delete from async.result r where r.task_id = any (v_ids);
  perform async.restrict_restarted(v_ids, in_scope.reaches_self);
  perform async.wake_leader();
end
$function$;
