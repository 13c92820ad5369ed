-- Purpose: takes the lead from the leader of this database, of either engine, by force: asks it to
--   resign, waits, then terminates its backend. If another candidate takes the lead meanwhile, it
--   is asked in turn, with the same limits.
-- Returns: when this session holds the locks.
-- Raises: PA208 when the leader cannot be removed.
-- Locks: async.leader in row exclusive mode; the advisory locks of the leader, at the end. (A
--   procedure with a SET clause cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.take_over()
language plpgsql
as $procedure$
declare
  c_ask_seconds constant float := 25;
  c_terminate_seconds constant float := 10;
  -- The leader that is asked or terminated, and the present one.
  v_pid int;
  v_leader int := async.leader_pid();
  v_until timestamp with time zone;
  v_terminated boolean;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if v_leader is null then
    if async.take_locks() then
      return;
    end if;
    raise exception '%', async.describe_leader() using errcode = 'PA208';
  end if;
  loop
    if v_leader is distinct from v_pid then
      v_pid := v_leader;
      v_terminated := false;
      v_until := clock_timestamp() + c_ask_seconds * interval '1 second';
      perform async.log_quiet('NOTICE', format('pid %s asks orchestrator pid %s to resign', pg_backend_pid(), v_pid));
    end if;
    -- An election clears the request, so it is repeated.
    if exists (select from async.leader l where l.resign_epoch is distinct from l.epoch) then
      begin
        update async.leader set resign_epoch = epoch;
        perform pg_notify('async_wake', '');
      exception when lock_not_available then
        null; -- an election is under way: again in a moment
      end;
    end if;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    if async.take_locks() then
      return;
    end if;
    v_leader := async.leader_pid();
    -- A leader in manual mode that is idle between two commands does not see the request.
    if v_leader = v_pid and not v_terminated
      and (clock_timestamp() >= v_until or exists (select from pg_stat_activity a where a.pid = v_pid
        and a.state = 'idle' and a.state_change < clock_timestamp() - interval '2 seconds'))
    then
      begin
        perform pg_terminate_backend(v_pid);
      exception when insufficient_privilege then
        raise exception 'orchestrator pid % does not resign, and % may not terminate it', v_pid, current_user
          using errcode = 'PA208', hint = 'Ask a member of its role, or of pg_signal_backend, to terminate it';
      end;
      v_terminated := true;
      v_until := clock_timestamp() + c_terminate_seconds * interval '1 second';
      perform async.log_quiet('WARNING', format('terminated orchestrator pid %s, which did not resign', v_pid));
    elsif v_leader is null and clock_timestamp() >= v_until then
      raise exception '%', async.describe_leader() using errcode = 'PA208';
    elsif v_leader = v_pid and clock_timestamp() >= v_until then
      raise exception 'orchestrator pid % was terminated but still holds its lock', v_pid
        using errcode = 'PA208', hint = 'Its host may be stopped; look at pg_stat_activity';
    end if;
    perform async.wait_for_commit();
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform pg_sleep(0.1);
    v_leader := coalesce(async.leader_pid(), v_pid);
  end loop;
end
$procedure$;
