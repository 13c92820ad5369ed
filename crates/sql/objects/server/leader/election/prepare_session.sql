-- Purpose: the settings of a leader's session: no JIT (it leaks in a session that never ends), no
--   long waits for locks, fresh snapshots, quiet under pg_cron. What it commits is on disk: a claim
--   that a crash of the server forgot would run twice.
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
  perform set_config('default_transaction_isolation', 'read committed', false);
  perform set_config('idle_in_transaction_session_timeout', '0', false);
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', false);
  end if;
  if exists (select from pg_stat_get_activity(pg_backend_pid()) a where a.application_name like 'pg\_cron%') then
    perform set_config('client_min_messages', 'warning', false);
  end if;
end
$function$;
