-- Purpose: takes the lead from the leader of this database, of either engine, by force: asks it to
--   resign, waits, then terminates its backend.
-- Returns: when this session holds the locks.
-- Raises: PA208 when the leader cannot be removed.
-- Locks: the advisory locks of the leader, at the end. (A procedure with a SET clause cannot commit,
--   so it sets the search_path in each transaction.)
create or replace procedure async.take_over()
language plpgsql
as $procedure$
declare
  c_ask_seconds constant float := 25;
  c_terminate_seconds constant float := 10;
  v_pid int := async.leader_pid();
  v_until timestamp with time zone;
  v_terminated boolean;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if v_pid is null then
    if async.take_locks() then
      return;
    end if;
    raise exception '%', async.describe_leader() using errcode = 'PA208';
  end if;
  update async.leader set resign_epoch = epoch;
  perform async.log_quiet('NOTICE', format('pid %s asks orchestrator pid %s to resign', pg_backend_pid(), v_pid));
  perform pg_notify('async_wake', '');
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_until := clock_timestamp() + c_ask_seconds * interval '1 second';
  while clock_timestamp() < v_until loop
    if async.take_locks() then
      return;
    end if;
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    -- A leader in manual mode that is idle between two commands does not see the request.
    exit when exists (select from pg_stat_activity a where a.pid = v_pid and a.state = 'idle'
      and a.state_change < clock_timestamp() - interval '2 seconds');
    perform pg_sleep(0.1);
  end loop;
  begin
    v_terminated := pg_terminate_backend(v_pid);
  exception when insufficient_privilege then
    raise exception 'orchestrator pid % does not resign, and % may not terminate it', v_pid, current_user
      using errcode = 'PA208', hint = 'Ask a member of its role, or of pg_signal_backend, to terminate it';
  end;
  perform async.log_quiet('WARNING', format('terminated orchestrator pid %s, which did not resign', v_pid));
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_until := clock_timestamp() + c_terminate_seconds * interval '1 second';
  while clock_timestamp() < v_until loop
    if async.take_locks() then
      return;
    end if;
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform pg_sleep(0.1);
  end loop;
  raise exception 'orchestrator pid % was terminated but still holds its lock', v_pid
    using errcode = 'PA208', hint = 'Its host may be stopped; look at pg_stat_activity';
end
$procedure$;
