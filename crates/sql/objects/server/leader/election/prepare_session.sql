-- Purpose: sets the settings of the session of the SQL engine: no JIT (it leaks memory in a session
--   that never ends), short lock waits, READ COMMITTED, generic plans, no idle timeout, buffers for its
--   memory, no notices under pg_cron, and durable commits, because the task of a claim that a crash
--   loses would run twice.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none.
create or replace function async.prepare_session()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform set_config('jit', 'off', false);
  perform set_config('lock_timeout', '100ms', false);
  if current_setting('server_version_num')::int >= 120000 then
    perform set_config('plan_cache_mode', 'force_generic_plan', false);
  end if;
  perform set_config('default_transaction_isolation', 'read committed', false);
  perform set_config('idle_in_transaction_session_timeout', '0', false);
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', false);
  end if;
  -- The memory of a leader with 10,000 lanes. It cannot be set after the first use of a temporary table.
  begin
    perform set_config('temp_buffers', '64MB', false);
  exception when others then
    null;
  end;
  if exists (select from pg_stat_get_activity(pg_backend_pid()) a where a.application_name like E'pg\\_cron%') then
    perform set_config('client_min_messages', 'warning', false);
  end if;
end
$function$;
