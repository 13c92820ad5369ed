-- Purpose: checks the pushed elements and computes their rows. In the leader session (triggers,
--   routines) an element without a target is skipped with a warning. in_retries names the retry policy
--   of each element; null: that of its target or of control.
-- Returns: one row for each element, with its position in the array.
-- Raises: PA010 for no target, PA011 for an unknown target, PA012 for a retired target, PA013 for a
--   retired pool, PA014 for no query, PA015 for a query at a target without a connection string,
--   PA016 for an invalid timeout; PA017 for a query, PA018 for task_data, PA019 for an array and PA01B
--   for a name that is too long, PA01A for too many pools, PA01I for an
--   unknown retry policy; PA082 for a target outside of the scope of
--   the caller.
-- Locks: none.
-- (Longer than a screen: its checks and the rows that it makes share what it looked up.)
create or replace function async.prepare_push(
  in_caller name,
  in_scope async.scope_t,
  in_tasks async.task_push_t[],
  in_run_type async.task_run_type_t,
  in_retries text[] default null)
returns table (
  out_position bigint,
  out_target text,
  out_priority int,
  out_entered timestamptz,
  out_processed timestamptz,
  out_finish_status async.finish_status_t,
  out_query text,
  out_failed bool,
  out_asynchronous_finish bool,
  out_task_data jsonb,
  out_concurrency_pool text,
  out_manual_timeout interval,
  out_track_yielded bool,
  out_pushed_by text,
  out_may_reach_self bool,
  out_retry jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_run_type async.task_run_type_t := coalesce(in_run_type, 'EXECUTE');
  v_runs bool := v_run_type in ('EXECUTE', 'EXECUTE_NOASYNC');
  v_now timestamptz := clock_timestamp();
  v_has_others bool := '*' = any (in_scope.targets);
  v_everywhere bool := in_scope.reaches_self and v_has_others;
  v_task async.task_push_t;
  v_target record;
  v_target_given text;
  v_pool_given text;
  v_pool_is_known bool;
  v_other_pools int := 0;
  v_retry jsonb;
  v_retry_name text;
  v_retry_given text;
begin
  -- A loop, because planning a join for every array costs more than the pushes. Neighboring
  -- elements mostly name the same target and pool, which are then looked up once.
  out_position := 0;
  out_entered := v_now;
  out_pushed_by := session_user || coalesce(' as ' || nullif(in_caller, session_user), '');
  out_may_reach_self := case when not in_scope.reaches_self then false end;
  if not v_runs then
    out_processed := v_now;
    out_failed := v_run_type = 'DOA';
    out_finish_status := case when out_failed then 'DOA' else 'FINISHED' end;
  end if;
  if in_tasks is null then
    return;
  elsif cardinality(in_tasks) > async.push_elements_max() then
    raise exception '% tasks are too many for one push', cardinality(in_tasks)
      using errcode = 'PA019', hint = format('Push up to %s at once.', async.push_elements_max());
  end if;
  foreach v_task in array in_tasks loop
    out_position := out_position + 1;

    if v_task.target is null then
      if not async.is_leader() then
        raise exception 'task % has no target', out_position
          using errcode = 'PA010', hint = 'Name a configured target, or SELF for the server itself.';
      end if;
      raise warning 'task % has no target and was not pushed', out_position using errcode = 'PA010';
      continue;
    elsif v_task.target is distinct from v_target_given then
      select t.*, c.self_target, a.target is not null as leads_to_self, coalesce(t.default_retry, c.default_retry) as retry
      into v_target
      from async.target t
      cross join async.control c
      left join async.target_at_self a on a.target = t.target
      where t.target = v_task.target;
      if not found and upper(v_task.target) = 'SELF' then
        select t.*, c.self_target, false as leads_to_self, coalesce(t.default_retry, c.default_retry) as retry into v_target
        from async.control c
        join async.target t on t.target = c.self_target;
      end if;
      if v_target.target is null and octet_length(v_task.target) > async.name_bytes_max() then
        raise exception 'task %: the name of its target is too long (% bytes)', out_position, octet_length(v_task.target)
          using errcode = 'PA01B', hint = format('It may have %s bytes.', async.name_bytes_max());
      elsif v_target.target is null then
        raise exception 'task %: there is no target %', out_position, quote_literal(v_task.target)
          using errcode = 'PA011', hint = async.hint_of_targets(in_caller);
      elsif v_target.retired then
        raise exception 'task %: the target % is retired', out_position, quote_literal(v_task.target)
          using errcode = 'PA012', hint = 'The last configuration left it out. An administrator configures it again; or name another.';
      end if;
      -- Most targets are granted plainly. The function is slow, and says what is wrong.
      if (v_everywhere
        or v_target.target <> v_target.self_target and not v_target.leads_to_self
          and (v_has_others or v_target.target = any (in_scope.targets))) is not true
      then
        perform async.check_target(format('task %s: ', out_position), in_caller, in_scope, v_target.target);
      end if;
      v_target_given := v_task.target;
    end if;

    if v_task.concurrency_pool is distinct from v_pool_given then
      -- The name of a target is also a pool.
      v_pool_is_known := v_task.concurrency_pool is null
        or exists (select from async.target t where t.target = v_task.concurrency_pool and not t.retired);
      if not v_pool_is_known then
        select not p.retired into v_pool_is_known
        from async.concurrency_pool p where p.concurrency_pool = v_task.concurrency_pool;
        v_other_pools := v_other_pools + (v_pool_is_known is null)::int;
      end if;
      if v_pool_is_known is null and octet_length(v_task.concurrency_pool) > async.name_bytes_max() then
        raise exception 'task %: the name of its concurrency pool is too long (% bytes)', out_position,
            octet_length(v_task.concurrency_pool)
          using errcode = 'PA01B', hint = format('It may have %s bytes.', async.name_bytes_max());
      elsif not v_pool_is_known then
        raise exception 'task %: the concurrency pool % is retired', out_position, quote_literal(v_task.concurrency_pool)
          using errcode = 'PA013', hint = 'The last configuration left it out. An administrator configures it again; or name another.';
      end if;
      v_pool_given := v_task.concurrency_pool;
    end if;

    v_retry_name := case when v_runs then coalesce(in_retries[out_position], v_target.retry) end;
    if v_retry_name is distinct from v_retry_given then
      v_retry := async.copy_retry_policy(v_retry_name);
      if v_retry is null and v_retry_name <> 'none' then
        raise exception 'task %: there is no retry policy %', out_position, quote_literal(v_retry_name)
          using errcode = 'PA01I', hint = 'An administrator makes retry policies with async.configure. The name none stands for no policy.';
      end if;
      v_retry_given := v_retry_name;
    end if;

    if v_runs and v_task.query is null and not v_target.asynchronous_finish then
      raise exception 'task %: it has no query, and clients do not pull the tasks of %', out_position,
          quote_literal(v_task.target)
        using errcode = 'PA014', hint = 'Give it a query, or configure the target with asynchronous_finish.';
    elsif v_runs and v_task.query is not null and v_target.connection_string is null then
      raise exception 'task %: the target % has no connection string, so clients must pull its tasks', out_position,
          quote_literal(v_task.target)
        using errcode = 'PA015', hint = 'Push it without a query, or configure a connection string.';
    elsif v_task.manual_timeout is not null and not async.is_usable_duration(v_task.manual_timeout) then
      raise exception 'task %: its timeout is negative, or reaches beyond the end of time', out_position
        using errcode = 'PA016', hint = 'Leave it out for the target''s own timeout.';
    elsif octet_length(v_task.query) > async.query_bytes_max() then
      raise exception 'task %: its query is too long (% bytes)', out_position, octet_length(v_task.query)
        using errcode = 'PA017', hint = format('It may have %s bytes. Put the data into a table and query it there.',
          async.query_bytes_max());
    elsif pg_column_size(v_task.task_data) > async.task_data_bytes_max() then
      raise exception 'task %: its task_data is too large (% bytes)', out_position, pg_column_size(v_task.task_data)
        using errcode = 'PA018', hint = format('It may have %s bytes.', async.task_data_bytes_max());
    end if;

    out_target := v_target.target;
    out_priority := coalesce(v_task.priority, 0);
    out_query := v_task.query;
    out_asynchronous_finish := v_target.asynchronous_finish and v_run_type not in ('EXECUTE_NOASYNC', 'EMPTY');
    out_task_data := v_task.task_data;
    out_concurrency_pool := coalesce(v_task.concurrency_pool, v_target.target);
    out_manual_timeout := v_task.manual_timeout;
    out_track_yielded := coalesce(v_task.track_yielded, v_target.concurrency_track_yielded);
    out_retry := v_retry;
    if v_retry is not null and async.may_commit(v_task.query) then
      out_retry := v_retry || '{"commits": true}';
    end if;
    return next;
  end loop;
  if v_other_pools > 0 and v_runs then
    perform async.check_pools(in_tasks, v_other_pools);
  end if;
end
$function$;
